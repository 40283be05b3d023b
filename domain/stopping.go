package domain

import "time"

// CodeStopping is the code of ErrStopping, for clients who want to know whom to ask again.
const CodeStopping = "server_stopping" // Unavailable: this process stops, another one answers

// CodeBrokenOff is the code of ErrBrokenOff at the end of a stream.
const CodeBrokenOff = "answer_broken_off" // Unavailable: the process that answered has gone

// ErrStopping ends what a process has not finished when it has to stop. It is the cause of the contexts that end then. The same request
// does no harm a second later: nothing of an answer in one piece was stored, and what there was of a stream was.
var ErrStopping = &Error{
	Kind: Unavailable, Code: CodeStopping, Message: "The server is shutting down before the answer was complete: send the request again", RetryAfter: time.Second,
}
