// Package upstream is a provider of models at the socket: it speaks OpenAI's Chat Completions and Anthropic's Messages, does what a script
// says, faults included, and keeps books of what it served, so that a test can compare them with Gaia's.
//
// It must not know Gaia.
package upstream
