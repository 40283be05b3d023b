// Package portstest holds the contract suites of the ports: an adapter is done when its suite passes on it, against the real thing.
//
// It must not know any adapter, nor ask more than the comments in ports do.
package portstest

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// streamPatience is how long the suite waits for what has to happen at once, on a busy machine.
const streamPatience = Patience

// CompleterSetup is what an adapter brings to the suite. All three must accept Prompt.
type CompleterSetup struct {
	Prompt  domain.Prompt
	Answers ports.Completer // answers in more than one step and says the usage
	Stalls  ports.Completer // begins to answer and then stays silent for longer than any test waits
	Breaks  ports.Completer // begins to answer and breaks off before the finish reason; nil when the adapter has nothing that can break
}

// Completer checks everything that ports.Completer demands. setup runs once for each test.
func Completer(t *testing.T, setup func(t *testing.T) CompleterSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, CompleterSetup){
		"answers with content, one finish and then usage": completerAnswers,
		"ends with io.EOF again and again":                completerStaysAtEOF,
		"refuses a context that has ended":                completerRefusesEndedContext,
		"cancel ends Recv":                                completerCancelEndsRecv,
		"cancel before Recv ends it too":                  completerCancelBeforeRecv,
		"deadline ends Recv as Unavailable":               completerDeadlineEndsRecv,
		"Close unblocks Recv":                             completerCloseUnblocksRecv,
		"Close twice":                                     completerCloseTwice,
		"Close before the end stays an error":             completerCloseBeforeEnd,
		"breaking off is Unavailable":                     completerBreakingOff,
		"streams do not disturb each other":               completerParallelStreams,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			if s.Breaks == nil && name == "breaking off is Unavailable" {
				t.Skip("nothing can break here")
			}
			test(t, s)
		})
	}
}

func completerAnswers(t *testing.T, s CompleterSetup) {
	steps := drainStream(t, openStream(t.Context(), t, s.Answers, s.Prompt))
	var content string
	finishes, usages := 0, 0
	for i, d := range steps {
		content += d.Content
		if d.Finish != "" {
			finishes++
		}
		if d.Usage == nil {
			continue
		}
		usages++
		if finishes == 0 {
			t.Errorf("step %d has the usage before the finish reason", i)
		}
		if d.Usage.Total() <= 0 {
			t.Errorf("usage is %+v, want a positive total", *d.Usage)
		}
	}
	if content == "" || len(steps) < 3 {
		t.Errorf("got %d steps with content %q, want some of both", len(steps), content)
	}
	if finishes != 1 || usages != 1 {
		t.Errorf("got %d finish reasons and %d usages, want one of each", finishes, usages)
	}
}

func completerStaysAtEOF(t *testing.T, s CompleterSetup) {
	st := openStream(t.Context(), t, s.Answers, s.Prompt)
	drainStream(t, st)
	for range 3 {
		wantStreamEOF(t, st)
	}
	closeStream(t, st)
	wantStreamEOF(t, st)
}

func completerRefusesEndedContext(t *testing.T, s CompleterSetup) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	st, err := s.Answers.Open(ctx, s.Prompt)
	if err == nil {
		defer closeStream(t, st)
		_, err = st.Recv()
	}
	wantStreamError(t, err, domain.Canceled)
}

func completerCancelEndsRecv(t *testing.T, s CompleterSetup) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	st := openStream(ctx, t, s.Stalls, s.Prompt)
	firstStep(t, st)
	failed := recvUntilError(st)
	cancel()
	wantStreamError(t, streamError(t, failed), domain.Canceled)
}

func completerCancelBeforeRecv(t *testing.T, s CompleterSetup) {
	ctx, cancel := context.WithCancel(t.Context())
	st := openStream(ctx, t, s.Answers, s.Prompt)
	cancel()
	wantStreamError(t, streamError(t, recvUntilError(st)), domain.Canceled)
}

func completerDeadlineEndsRecv(t *testing.T, s CompleterSetup) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	st, err := s.Stalls.Open(ctx, s.Prompt)
	if err == nil {
		defer closeStream(t, st)
		err = streamError(t, recvUntilError(st))
	}
	wantStreamError(t, err, domain.Unavailable)
}

func completerCloseUnblocksRecv(t *testing.T, s CompleterSetup) {
	st := openStream(t.Context(), t, s.Stalls, s.Prompt)
	firstStep(t, st)
	failed := recvUntilError(st)
	closeStream(t, st)
	if err := streamError(t, failed); errors.Is(err, io.EOF) {
		t.Error("Recv said io.EOF after Close, as if the answer were whole")
	}
}

func completerCloseTwice(t *testing.T, s CompleterSetup) {
	st := openStream(t.Context(), t, s.Answers, s.Prompt)
	closeStream(t, st)
	closeStream(t, st)
}

func completerCloseBeforeEnd(t *testing.T, s CompleterSetup) {
	st := openStream(t.Context(), t, s.Answers, s.Prompt)
	firstStep(t, st)
	closeStream(t, st)
	for range 2 {
		if _, err := st.Recv(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("Recv after Close gave %v, want an error that is not io.EOF", err)
		}
	}
}

func completerBreakingOff(t *testing.T, s CompleterSetup) {
	st := openStream(t.Context(), t, s.Breaks, s.Prompt)
	wantStreamError(t, streamError(t, recvUntilError(st)), domain.Unavailable)
	_, err := st.Recv()
	wantStreamError(t, err, domain.Unavailable)
}

func completerParallelStreams(t *testing.T, s CompleterSetup) {
	first, second := openStream(t.Context(), t, s.Answers, s.Prompt), openStream(t.Context(), t, s.Answers, s.Prompt)
	var a, b domain.AnswerBuilder
	for {
		d1, err1 := first.Recv()
		d2, err2 := second.Recv()
		a.Add(d1)
		b.Add(d2)
		if errors.Is(err1, io.EOF) && errors.Is(err2, io.EOF) {
			break
		}
		if err1 != nil || err2 != nil {
			t.Fatalf("Recv: %v, %v", err1, err2)
		}
	}
	if one, two := a.Answer().Content, b.Answer().Content; one != two || one == "" {
		t.Errorf("the same prompt, interleaved, gave %q and %q", one, two)
	}
}

func openStream(ctx context.Context, t *testing.T, c ports.Completer, p domain.Prompt) ports.CompletionStream {
	t.Helper()
	st, err := c.Open(ctx, p)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { closeStream(t, st) })
	return st
}

func closeStream(t *testing.T, st ports.CompletionStream) {
	t.Helper()
	if err := st.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// drainStream reads a stream to its end.
func drainStream(t *testing.T, st ports.CompletionStream) []domain.Delta {
	t.Helper()
	var steps []domain.Delta
	for {
		d, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return steps
		}
		if err != nil {
			t.Fatalf("Recv after %d steps: %v", len(steps), err)
		}
		steps = append(steps, d)
	}
}

func firstStep(t *testing.T, st ports.CompletionStream) {
	t.Helper()
	if _, err := st.Recv(); err != nil {
		t.Fatalf("the first Recv: %v", err)
	}
}

// recvUntilError reads until the stream gives an error, which it sends.
func recvUntilError(st ports.CompletionStream) <-chan error {
	failed := make(chan error, 1)
	go func() {
		for {
			if _, err := st.Recv(); err != nil {
				failed <- err
				return
			}
		}
	}()
	return failed
}

func streamError(t *testing.T, failed <-chan error) error {
	t.Helper()
	select {
	case err := <-failed:
		return err
	case <-time.After(streamPatience):
		t.Fatal("Recv is still blocked")
		return nil
	}
}

func wantStreamEOF(t *testing.T, st ports.CompletionStream) {
	t.Helper()
	if d, err := st.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("Recv after the end gave %+v, %v, want io.EOF", d, err)
	}
}

func wantStreamError(t *testing.T, err error, kind domain.Kind) {
	t.Helper()
	if err == nil || errors.Is(err, io.EOF) || domain.KindOf(err) != kind {
		t.Errorf("got error %v of kind %d, want kind %d", err, domain.KindOf(err), kind)
	}
}
