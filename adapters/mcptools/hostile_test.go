package mcptools

var hostilePrograms = map[string]func() error{}
