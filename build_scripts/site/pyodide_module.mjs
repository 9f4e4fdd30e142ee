// @ts-check
/**
 * Pyodide's JavaScript (`pyodide.asm.mjs`) without the work at its start that a server never profits from.
 *
 * It prepares for any module that may ever be linked to it: each of 7,000 exports gets a number in the function table and
 * a global, each JavaScript function whose address is taken (OpenGL's, mostly) a WebAssembly module of its own. Here all
 * of that happens when a module asks for it. Nothing is missing afterwards but OpenGL's table of its own functions.
 *
 * Every change names the very text that it replaces, and fails when that isn't there exactly once: another version of
 * Pyodide has to be looked at anew. Build and worker must use the same file: the memory snapshot has numbers of the table.
 * @module
 */
import { readFileSync } from 'node:fs';
import { PYODIDE_FOLDER } from './pyodide_in_node.mjs';

/**
 * The address of an exported symbol, found when a linked module first asks for it. It goes before `updateGOT`'s own way
 * for all of them, with the same outcome: the main module's symbols come before the linked ones'.
 */
const FIND_EXPORT = `var mainExports;
var findExport=symName=>{
  if(!mainExports||!(symName in mainExports)||isInternalSym(symName))return;
  var value=mainExports[symName];
  GOT[symName]??=new WebAssembly.Global({value:"i32",mutable:true});
  if(typeof value=="function")GOT[symName].value=addFunction(value);
  else if(typeof value.value=="number")GOT[symName].value=value.value;
};
`;

/**
 * Functions that can't be in the function table yet, as JavaScript's and those of a new instance. To look the others up
 * there, Emscripten makes a map of the whole table; until it needs that, these are noted beside it.
 */
const ADD_NEW_FUNCTION = `var newFunctions=[];
var addNewFunction=(func,sig)=>{
  if(functionsInTableMap)return addFunction(func,sig);
  var known=newFunctions.find(([added])=>added==func);
  if(known)return known[1];
  var index=getEmptyTableSlot();
  setWasmTableEntry(index,sig?convertJsFunctionToWasm(func,sig):func);
  newFunctions.push([func,index]);
  return index;
};
var noOpenGL=()=>{throw new Error("There is no OpenGL here.")};
noOpenGL.sig="v";
`;

/** What linked modules find, without an array and a function per export. */
const MERGE = `for(var sym in exports){if(!isSymbolDefined(sym))wasmImports[sym]=exports[sym]}
for(var[alias,name]of [["__main_argc_argv","main"],["main","__main_argc_argv"]]){
  if(name in exports&&!isSymbolDefined(alias))wasmImports[alias]=exports[name];
}`;

/** @type {[string, string][]} */
const CHANGES = [
  ['var GOT={};', `var GOT={};${FIND_EXPORT}`],
  ['new WebAssembly.Global({value:"i32",mutable:true},-1)}', 'new WebAssembly.Global({value:"i32",mutable:true},-1);findExport(symName)}'],
  ['var existingEntry=GOT[symName]&&', 'if(!GOT[symName])findExport(symName);var existingEntry=GOT[symName]&&'],
  ['updateGOT(origExports);', 'mainExports=origExports;'],
  ['var addFunction=', `${ADD_NEW_FUNCTION}var addFunction=`],
  ['updateTableMap(0,wasmTable.length)}', 'updateTableMap(0,wasmTable.length);for(var[added,index]of newFunctions)functionsInTableMap.set(added,index)}'],
  ['entry.value=addFunction(value,value.sig)', 'if(symName.startsWith("emscripten_gl"))value=noOpenGL;entry.value=value.sig?addNewFunction(value,value.sig):addFunction(value)'],
  [
    'for(var[sym,exp]of Object.entries(exports)){const setImport=target=>{if(!isSymbolDefined(target)){wasmImports[target]=exp}};setImport(sym);const main_alias="__main_argc_argv";if(sym=="main"){setImport(main_alias)}if(sym==main_alias){setImport("main")}}',
    MERGE,
  ],
  ['wasmExports=Object.assign({},wasmExports);', 'var original=wasmExports;wasmExports=new Proxy({},{get:(own,name)=>own[name]??original[name]});'],
  ['addFunction(trampolineInstance.exports.trampoline_call)', 'addNewFunction(trampolineInstance.exports.trampoline_call)'],
];

const FIND_MEMBER = `const members={get(target,name,receiver){
  if(typeof name!="string"||name[0]!="_")return Reflect.get(target,name,receiver);
  const value=wasmExports[name.slice(1)];
  return value instanceof WebAssembly.Global?value.value>>>0:value;
}};
Object.setPrototypeOf(Module,new Proxy(Object.prototype,members));
`;

/** The file's text as the site has it. @param {string} [original] */
export function buildPyodideModule(original = readFileSync(`${PYODIDE_FOLDER}pyodide.asm.mjs`, 'utf8')) {
  return assignExportsByName(CHANGES.reduce((source, [old, replacement]) => replaceOnce(source, old, replacement), original));
}

/**
 * A third of the file is one statement per export, `_name=Module["_name"]=wasmExports["name"]`. Those stay that the file
 * itself needs; who asks the module for another one gets it as well.
 * @param {string} source
 */
function assignExportsByName(source) {
  const [declarations, names] = match(source, /var ((?:\w+,)+wasmTable,wasmMemory);(?=function assignWasmExports)/);
  const [whole, body] = match(source, /function assignWasmExports\(wasmExports\)\{([^{}]*)\}/);
  const rest = source.replace(declarations, '').replace(whole, '');
  const words = new Set(rest.match(/[\w$]+/g));
  const isUsed = (/** @type {string} */ name) => words.has(name);
  const kept = body.split(';').filter((statement) => {
    const simple = /^(_\w+)=Module\["\1"\]=wasmExports\["(\w+)"\](?:\.value>>>0)?$/.exec(statement);
    return !simple || simple[1] !== `_${simple[2]}` || isUsed(simple[1]);
  });
  const assigned = kept.join(';');
  const variables = names.split(',').filter((name) => isUsed(name) || assigned.includes(`${name}=`));
  return replaceOnce(replaceOnce(source, declarations, `var ${variables};`), whole, `function assignWasmExports(wasmExports){${FIND_MEMBER}${assigned}}`);
}

/**
 * @param {string} source
 * @param {RegExp} pattern
 * @returns {[string, string]} the match and its group
 */
function match(source, pattern) {
  const found = pattern.exec(source);
  if (!found) throw new Error(`pyodide.asm.mjs has changed: there is no ${pattern}`);
  return [found[0], found[1]];
}

/**
 * @param {string} source
 * @param {string} old
 * @param {string} replacement
 */
function replaceOnce(source, old, replacement) {
  const parts = source.split(old);
  if (parts.length !== 2) throw new Error(`pyodide.asm.mjs has changed: ${JSON.stringify(old)} is there ${parts.length - 1} times`);
  return parts.join(replacement);
}
