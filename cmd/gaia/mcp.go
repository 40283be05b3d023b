package main

import (
	"gaia/adapters/httpapi"
	"gaia/adapters/mcpserver"
)

// wireMCP offers what the API offers to clients of the Model Context Protocol, too, and has the API answer them.
func wireMCP(api *httpapi.Config) *mcpserver.Server {
	server := mcpserver.New(mcpserver.Config{
		Chat: api.Chat, Personas: api.Personas, Models: api.Models, Conversations: api.Conversations, Build: build, PingInterval: api.PingInterval,
		Log: api.Log,
	})
	api.MCP = server.Serve
	return server
}
