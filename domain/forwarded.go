package domain

// ForwardedHeader is the name of the header in which one service tells another who made a request. Only what is signed is believed, and
// clients can't send it: the gateway drops it.
const ForwardedHeader = "X-Gaia-Identity"

// RefusedHeader is in the answer of a service that does not believe the header of another: it has carried nothing out, and says nothing about
// the client.
const RefusedHeader = "X-Gaia-Refused"

// AnswerHeader is in every answer of a service to others. What comes without it is not from a service, but from something that stands before it
// or has got its address.
const AnswerHeader = "X-Gaia-Answer"

// Forwarded is what one service tells another about a request.
type Forwarded struct {
	Principal Principal // the zero value: nobody has proved anything
	RequestID string    // of the client's request
}
