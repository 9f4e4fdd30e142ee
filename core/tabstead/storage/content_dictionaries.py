"""The preset dictionaries of compressed event content, by number.

What events have in common, as their JSON is written here: sorted keys, no spaces. The likeliest stands last, where
a reference to it is shortest. A dictionary that was ever used is never changed, not by a byte: what was compressed with
it could no longer be read. A better one gets the next number.
"""

from types import MappingProxyType
from typing import Final

_STATE: Final = (
    '{"creator":"@","room_version":"12"}{"history_visibility":"shared"}{"join_rule":"invite"}'
    '{"guest_access":"can_join"}{"name":"{"topic":"{"alias":"#'
    '{"ban":50,"events":{"m.room.avatar":50,"m.room.canonical_alias":50,"m.room.encryption":100,'
    '"m.room.history_visibility":100,"m.room.name":50,"m.room.power_levels":100,"m.room.server_acl":100,'
    '"m.room.tombstone":100},"events_default":0,"invite":0,"kick":50,"notifications":{"room":50},"redact":50,'
    '"state_default":50,"users":{"@":100},"users_default":0}'
)
_FILES: Final = (
    '{"body":".png","filename":".pdf","info":{"duration":,"h":1080,"mimetype":"application/octet-stream",'
    '"mimetype":"audio/ogg","mimetype":"video/mp4","mimetype":"image/png","mimetype":"image/jpeg","size":,'
    '"thumbnail_file":{"hashes":{"sha256":"","iv":"AAAAAAAAAAA","key":{"alg":"A256CTR","ext":true,"k":"",'
    '"key_ops":["encrypt","decrypt"],"kty":"oct"},"url":"mxc://","v":"v2"},'
    '"thumbnail_info":{"h":600,"mimetype":"image/jpeg","size":,"w":800},"thumbnail_url":"mxc://","w":1920,'
    '"xyz.amorgan.blurhash":"","msgtype":"m.file","msgtype":"m.audio","msgtype":"m.video","msgtype":"m.emote",'
    '"msgtype":"m.notice","msgtype":"m.image","url":"mxc://'
)
_CALLS: Final = '{"call_id":"","lifetime":60000,"party_id":"","version":"1"}'
_MEMBERS: Final = (
    '{"avatar_url":"mxc://matrix.org/","displayname":"","is_direct":true,"membership":"ban","membership":"invite",'
    '"membership":"leave","membership":"join","reason":"'
)
_MARKUP: Final = (
    "https://matrix.to/#/https://github.com/https://www.youtube.com/watch?v="
    r"<blockquote><pre><code class=\"language-<code></code></pre>\n<strong></strong><em></em><br />"
    r"<a href=\"https://</a><ul>\n<li></li>\n<li></li>\n</ul>\n<p></p>\n"
)
_WORDS: Final = (
    " nicht und der die das ist ich wir auch ein eine mit für auf dass wie was haben kann les des une est pas que pour"
    " dans vous avec sur c'est los las una por para con como pero más não com uma você"
    "after again against all also although always another any anything are around as ask at back because been before"
    " being better between both bug build but by call can can't change check code come could day did didn't different"
    " do does doesn't doing done don't down each else error even every example exactly few file find first fix found"
    " getting go going good got had has haven't having he help her here him his how however I I'd I'll I'm I've if"
    " instead into issue its keep know last later least let little look looks made make makes many maybe me mean"
    " message might mind more most much must my name need never new next no not nothing now number off ok on once one"
    " only open or other our out over own people perhaps please point possible probably problem question read really"
    " right room run said same say see seems server set she should since so some someone something sorry still such"
    " support sure take thank thanks their them then there there's these they thing things think those though through"
    " to today together tomorrow too tried try two under until up update us use used user using value version very"
    " want was wasn't way we well went were what's where whether which while who why without won't work working works"
    " yeah year yes yet you're would get time just like can not will have one from that's your about what when this"
    " with are but you for it it's is in of to and the that "
)
_RELATIONS: Final = (
    '{"body":"* ","m.mentions":{"user_ids":["@:matrix.org"]},"m.new_content":{"body":"",'
    '"format":"org.matrix.custom.html","formatted_body":"<p>","m.mentions":{},"m.relates_to":{"event_id":"$",'
    '"rel_type":"m.replace"},"msgtype":"m.text"}"m.relates_to":{"event_id":"$","is_falling_back":true,'
    '"m.in_reply_to":{"event_id":"$"},"rel_type":"m.thread"},"msgtype":"m.text"}'
    '"m.relates_to":{"m.in_reply_to":{"event_id":"$"}},"msgtype":"m.text"}{"redacts":"$"reason":"'
)
_MESSAGES: Final = (
    '{"algorithm":"m.megolm.v1.aes-sha2","ciphertext":"AwgAEnACgAkLmt6qF84IK++J7UDH2Za1YVchHyprqTqsg","device_id":"",'
    '"m.relates_to":{"sender_key":"","session_id":"'
    '{"m.relates_to":{"event_id":"$","key":"👍️","rel_type":"m.annotation"}}'
    '{"body":"","m.mentions":{},"msgtype":"m.text"}'
)

DICTIONARIES: Final = MappingProxyType(
    {1: "".join((_STATE, _FILES, _CALLS, _MEMBERS, _MARKUP, _WORDS, _RELATIONS, _MESSAGES)).encode()}
)
NEWEST: Final = 1
