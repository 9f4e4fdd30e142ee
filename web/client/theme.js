// @ts-check
/** Hydrogen's two themes, each for its colour scheme, and the page's colours over them. */

import darkTheme from 'hydrogen-view-sdk/theme-element-dark.css?url';
import lightTheme from 'hydrogen-view-sdk/theme-element-light.css?url';

import ownTheme from './client.css?url';

for (const [href, media] of [
  [lightTheme, '(prefers-color-scheme: light)'],
  [darkTheme, '(prefers-color-scheme: dark)'],
  [ownTheme, 'all'],
]) {
  const link = document.createElement('link');
  Object.assign(link, { rel: 'stylesheet', href, media });
  document.head.append(link);
}
