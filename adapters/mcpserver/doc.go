// Package mcpserver offers Gaia to clients of the Model Context Protocol: its use cases as tools, personas as prompts, and what a caller may
// read as resources. It speaks the streamable HTTP transport, without sessions, and standard input and output. It knows who calls from whoever
// serves it, holds no rule of its own, and does nothing but through use cases.
package mcpserver
