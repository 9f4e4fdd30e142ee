"""Ways to keep the state history, side by side: Tabstead's, and models of other servers' made from their schemas."""

from state_layouts.conduit import Conduit
from state_layouts.dendrite import Dendrite
from state_layouts.layout import Layout
from state_layouts.synapse import Synapse
from state_layouts.tabstead import Tabstead

LAYOUTS: dict[str, type[Layout]] = {
    "tabstead": Tabstead,
    "dendrite": Dendrite,
    "synapse": Synapse,
    "conduit": Conduit,
}
