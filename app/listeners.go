package app

import "sync"

// listeners are those in this process who wait for news of work that any process may do.
type listeners struct {
	mu      sync.Mutex
	waiting map[string]map[chan struct{}]struct{} // by the id of the work
}

func newListeners() listeners { return listeners{waiting: map[string]map[chan struct{}]struct{}{}} }

func (l *listeners) add(id string) chan struct{} {
	news := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[id] == nil {
		l.waiting[id] = map[chan struct{}]struct{}{}
	}
	l.waiting[id][news] = struct{}{}
	return news
}

func (l *listeners) remove(id string, news chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting[id], news)
	if len(l.waiting[id]) == 0 {
		delete(l.waiting, id)
	}
}

func (l *listeners) wake(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for news := range l.waiting[id] {
		select {
		case news <- struct{}{}:
		default: // it will look anyway
		}
	}
}
