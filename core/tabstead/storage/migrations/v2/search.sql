-- The words of messages, room names and topics, for searching; a row's id is the event_nid. Nothing but which event has
-- which word is kept: no text, no places, no sizes. A word is a token as tabstead.protocol.words gives it; two more say
-- of which room the event is, and what text it has: see storage/event_words.py.
CREATE VIRTUAL TABLE event_words USING fts5 (words, content = '', columnsize = 0, detail = none, tokenize = 'ascii');

-- Up to which position of the stream events are in it.
INSERT INTO counters (name, value) VALUES ('event_words', 0);
