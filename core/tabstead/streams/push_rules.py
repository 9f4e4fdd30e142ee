"""Users' push rules: the server's defaults with what the user changed of them.

Only the changes are stored, as the user's account data `m.push_rules`; what clients see is always the whole ruleset, so
that a new default reaches everyone. The rules for threads are there for users who have ever subscribed to one: those of
others' clients know nothing of subscriptions, and would hear of no thread any more.
"""

from collections.abc import Callable
from typing import Any, Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import UserID
from tabstead.protocol.push_rules import POSTCONTENT, default_push_rules, update_defaults
from tabstead.storage.account_data import find_account_data, update_account_data
from tabstead.storage.database import Db
from tabstead.storage.thread_subscriptions import has_subscriptions

PUSH_RULES: Final = "m.push_rules"


def read_rules(db: Db, user_id: str) -> JsonDict:
    """The content of the user's m.push_rules: the ruleset under `global`."""
    return {"global": read_ruleset(db, user_id)}


def read_ruleset(db: Db, user_id: str) -> JsonDict:
    """The user's ruleset."""
    stored, with_threads = find_account_data(db, user_id, PUSH_RULES), has_subscriptions(db, user_id)
    if stored is None:
        return default_push_rules(UserID(user_id), with_threads=with_threads)
    return complete_ruleset(user_id, stored, with_threads=with_threads)


def complete_ruleset(user_id: str, stored: JsonDict, *, with_threads: bool = False) -> JsonDict:
    """The whole ruleset of what is stored of it."""
    return update_defaults(stored["global"], UserID(user_id), with_threads=with_threads)


def update_ruleset(db: Db, user_id: str, change: Callable[[JsonDict], JsonDict]) -> None:
    """Change the user's ruleset. What changes nothing is no news."""
    before = read_ruleset(db, user_id)
    after = change(before)
    if after != before:
        update_account_data(db, user_id, PUSH_RULES, {"global": _changes(user_id, after)})


def _changes(user_id: str, ruleset: JsonDict) -> JsonDict:
    """The part of a ruleset that isn't the server's default."""
    defaults = default_push_rules(UserID(user_id), with_threads=POSTCONTENT in ruleset)
    changes: dict[str, list[Any]] = {
        kind: [rule for rule in rules if rule not in defaults[kind]] for kind, rules in ruleset.items()
    }
    return {kind: rules for kind, rules in changes.items() if rules}
