// Package mcpfiles joins files and the Model Context Protocol in both directions: Server offers a ports.FileTree as an MCP server whose tools
// have the names, the arguments and the answers of the npm package @modelcontextprotocol/server-filesystem, so that prompts written for that
// work here, and Remote reads files through such a server.
//
// It must not open files itself, and only reads.
package mcpfiles
