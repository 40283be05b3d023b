package app

// UnknownKeys counts the unknown keys that are remembered.
func (k *APIKeys) UnknownKeys() int { return k.unknown.len() }
