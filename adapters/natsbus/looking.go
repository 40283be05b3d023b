package natsbus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// looking is how far a look through a stream has come. A stream that is larger than one call has time for is looked through by several: what
// was looked through stays as it is, whoever adds to the stream meanwhile.
type looking struct {
	made       time.Time // as in place
	from, next uint64    // what lies between was looked through
	wanted     map[string]bool
	found      map[string]bool
}

// looking goes on with the last look through a stream, if that was for the same events and began no later.
func (s *sender) looking(name string, made time.Time, first uint64, wanted map[string]bool) *looking {
	if l := s.looks[name]; l != nil && l.made.Equal(made) && l.from <= first && contains(l.wanted, wanted) {
		return l
	}
	l := &looking{made: made, from: first, next: first, wanted: wanted, found: map[string]bool{}}
	if s.looks == nil {
		s.looks = map[string]*looking{}
	}
	s.looks[name] = l
	return l
}

func contains(all, some map[string]bool) bool {
	for id := range some {
		if !all[id] {
			return false
		}
	}
	return true
}

// done tells whether there is nothing more to be found.
func (l *looking) done() bool { return len(l.found) == len(l.wanted) }

// tell adds those of the wanted that were found.
func (l *looking) tell(wanted, found map[string]bool) {
	for id := range wanted {
		if l.found[id] {
			found[id] = true
		}
	}
}

// on looks on up to a number.
func (l *looking) on(ctx context.Context, consumer jetstream.Consumer, last uint64) error {
	for expected := uint64(1); ctx.Err() == nil; {
		batch, err := consumer.FetchNoWait(lookBatch)
		if err != nil {
			return err
		}
		before := expected
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			if meta.Sequence.Consumer != expected {
				return errSlow // some were lost on the way
			}
			expected++
			if id := m.Headers().Get(nats.MsgIdHdr); l.wanted[id] {
				l.found[id] = true
			}
			l.next = meta.Sequence.Stream + 1
			if l.next > last || meta.NumPending == 0 || l.done() {
				return nil
			}
		}
		if err := batch.Error(); err != nil {
			return err
		}
		if before == expected {
			return errSlow // there is more, and it does not come
		}
	}
	return errSlow
}
