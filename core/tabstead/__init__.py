"""Tabstead: a Matrix homeserver that lives in a browser tab."""
