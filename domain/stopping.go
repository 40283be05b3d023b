package domain

import "time"

// CodeStopping is the code of ErrStopping, for clients who want to know whom to ask again.
const CodeStopping = "server_stopping" // Unavailable: this process stops, another one answers

// CodeBrokenOff is the code of ErrBrokenOff at the end of a stream.
const CodeBrokenOff = "answer_broken_off" // Unavailable: the process that answered has gone

// ErrStopping ends what a process has not finished when it has to stop. It is the cause of the contexts that end then. It invites clients to send
// the same request a second later, so it is told to those alone whom that does no harm: what they asked for in one piece was not carried out,
// or is not carried out twice, and of a stream there is stored what they have seen. Of anything else OutcomeUnknown is what can be said.
var ErrStopping = &Error{
	Kind: Unavailable, Code: CodeStopping, Message: "The server is shutting down before the answer was complete: send the request again", RetryAfter: time.Second,
}

// OutcomeUnknown says that a request may have been carried out, or may be yet. It does not invite to send it again: there is no RetryAfter.
func OutcomeUnknown(message string, cause error) *Error {
	return &Error{Kind: Unavailable, Code: CodeOutcomeUnknown, Message: message + ": it is not known whether the request was carried out", Cause: cause}
}
