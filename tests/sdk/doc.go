// Package sdk runs official JavaScript clients against the built program, as their users do: the `openai` package, the AI SDK of Vercel
// with `@ai-sdk/openai-compatible`, and `@supabase/supabase-js`, in the versions that package-lock.json names (of the last, the newest
// that Node 20 runs). The tests themselves are *.test.js files for Node's own test runner. Every answer that reaches a client is checked
// against the contract on its way.
package sdk
