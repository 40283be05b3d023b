package upstream

import "time"

// Fault is what goes wrong in an answer.
type Fault int

// The faults. Those of the middle happen after Script.After tokens.
const (
	None        Fault = iota
	Stall             // says nothing more until the client hangs up
	Cut               // closes the connection
	BadJSON           // sends an event that is no JSON
	Binary            // sends bytes that are no text
	HugeEvent         // sends one event of 8 MiB
	EndlessLine       // sends a line without an end until the client hangs up, 64 MiB at most
	InBandError       // sends an error in the middle of the stream
	NoFinish          // ends properly without a finish reason
	HTML              // answers 200 with a page
	NotJSON           // answers Script.Status with a body that is no JSON
)

// Script says how one request is answered. The zero value answers with 20 tokens and counts them.
type Script struct {
	Status     int    // refuse with this; 0: answer
	Code       string // of the refusal, in OpenAI's words
	RetryAfter string // header of the refusal

	BeforeStatus time.Duration
	BeforeFirst  time.Duration // after the status
	Between      time.Duration // tokens

	Tokens int    // how many; 20 when 0
	Word   string // of each token; "word " when empty
	Stamp  bool   // each token is the time when it was due, in microseconds since 1970, and a space
	Calls  []Call // after the tokens, of which there are none then unless Tokens says so
	Google bool   // calls come whole, without id and index, and the answer ends with "stop"
	Whole  bool   // calls come in one piece each

	Fault Fault
	After int // tokens before the fault

	NoUsage          bool // does not count
	Cached           int  // of the prompt's tokens
	UsageWithChoices bool // counts in the chunk with the finish reason
}

// Call is a tool call, sent in pieces.
type Call struct {
	ID, Name  string
	Arguments []string // pieces
}

// PromptTokens is what every prompt counts, unless Script.NoUsage.
const PromptTokens = 11

func (s Script) tokens() int {
	if s.Tokens == 0 && len(s.Calls) == 0 {
		return 20
	}
	return s.Tokens
}

func (s Script) word() string {
	if s.Word == "" {
		return "word "
	}
	return s.Word
}
