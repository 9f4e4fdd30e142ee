"""The distribution of keys: device keys, one-time keys, cross-signing, key backup. Nothing is ever decrypted."""
