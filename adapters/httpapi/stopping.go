package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// What clients read at the end of a stream: whether another process can go on with it, or what is known.
const (
	stoppingResumable = "The server is shutting down before the answer was complete: the same request with its Idempotency-Key and Last-Event-ID goes on"
	brokenResumable   = "The service that answered can't be reached any more: the same request with its Idempotency-Key and Last-Event-ID goes on"
	brokenOff         = "The service that answered can't be reached any more before the answer was complete: send the request again"
	stoppingCall      = "The server is shutting down before the answer was complete: it is not known whether the call took effect"
	brokenCall        = "The service that answered can't be reached any more: it is not known whether the call took effect"
	stoppingFeed      = "The server is shutting down: follow again with the id of the last event as Last-Event-ID"
	brokenFeed        = "The service that sends the events can't be reached any more: follow again with the id of the last event as Last-Event-ID"
)

// isStopping reports whether a context ended because the process has to stop, and not because the client left.
func isStopping(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), domain.ErrStopping)
}

// endedByStopping reports whether an error can be the consequence of a request being ended: work that was given up, or a body that was not
// waited for any longer.
func endedByStopping(err error) bool {
	return domain.KindOf(err) == domain.Canceled || errors.Is(err, errTooSlow) || errors.Is(err, errCutShort)
}

// resumable is what the end of a stream says, with a word about how to go on when the request has an Idempotency-Key.
func resumable(err error, keyed bool) error {
	broken := errors.Is(err, domain.ErrBrokenOff)
	message := ""
	switch {
	case keyed && broken:
		message = brokenResumable
	case keyed:
		message = stoppingResumable
	case broken:
		message = brokenOff
	default:
		return err
	}
	code := domain.CodeStopping
	if broken {
		code = domain.CodeBrokenOff
	}
	return &domain.Error{Kind: domain.Unavailable, Code: code, Message: message, Cause: err}
}

// interrupt ends a feed whose subject goes on. There is no [DONE]: that says that there is nothing more to come.
func interrupt(out *sse, err error) {
	message := stoppingFeed
	if errors.Is(err, domain.ErrBrokenOff) {
		message = brokenFeed
	}
	out.farewell()
	out.event(oapi.FeedInterruption{Type: oapi.Interrupted, Message: message})
}

// endStream ends an event stream of which this process knows nothing but the bytes, because another one has sent them and is gone: with a
// typed error in the dialect of the operation, and [DONE] where that stands at the end. err is domain.ErrBrokenOff or domain.ErrStopping.
//
// It is for a middleware that forwards, after the head and any number of bytes have gone out by w. It reports whether the stream has an end,
// now or already. If not, because this is no event stream or half an event has gone out, the caller has to give the connection up with
// http.ErrAbortHandler.
func endStream(w http.ResponseWriter, r *http.Request, op *intake.Operation, err error) bool {
	rec := recorderFrom(r.Context())
	if rec == nil || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") || !rec.betweenEvents() {
		return false
	}
	if rec.ended() {
		return true
	}
	out := continueSSE(w)
	if isFeed(op) {
		interrupt(out, err)
		return !out.gone
	}
	if op.ID == mcpOperation {
		return endCall(out, r, err)
	}
	err = resumable(err, r.Header.Get("Idempotency-Key") != "")
	var enc encoder
	switch {
	case w.Header().Get(uiStreamHeader) != "":
		enc = &uiStream{}
	case op.Method == http.MethodPost && op.ID == typedStreamOperation:
		enc = &typedStream{now: time.Now, reasoning: func(app.ChatInfo) string { return "" }}
	default:
		enc = &openAIStream{id: completionID(app.ChatInfo{MessageID: requestIDFrom(r.Context())}), model: unknownModel, created: time.Now().Unix()}
	}
	enc.fail(out, err)
	out.done()
	return !out.gone
}

// typedStreamOperation is the one that answers with typed events.
const typedStreamOperation = "V02StreamChat"

// isFeed reports whether an operation tells what happens to something, for as long as it happens.
func isFeed(op *intake.Operation) bool {
	return slices.Contains([]string{"V1StreamWorkflowEvents", "V1StreamAssetEvents"}, op.ID)
}
