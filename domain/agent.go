package domain

// Agent is somebody who can take part in workflows: an instruction for a model, and the tools that it may use.
type Agent struct {
	Name        string   // lower case letters, digits, "-" and "_", at most 64
	Description string   // by which routers and planners choose it
	Instruction string   // the system prompt
	Model       string   // empty: the workflow's
	Tools       []string // patterns, see MatchesTool; none: no tools
}
