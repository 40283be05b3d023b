// Package sdk runs official JavaScript clients against the built program, as their users do: the `openai` package, and the AI SDK of
// Vercel with `@ai-sdk/openai-compatible`, in the versions that package-lock.json names. The tests themselves are *.test.js files for
// Node's own test runner. Every answer that reaches a client is checked against the contract on its way.
package sdk
