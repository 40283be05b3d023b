package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"gaia/app"
	"gaia/ports"
)

// startRelay sends stored events in the background, and forgets what was kept long enough. It stops after everything that stores events
// to its end, and before the bus and the database.
func (s *system) startRelay(db *database, sender ports.EventSender, log *slog.Logger, kept ...app.Kept) *app.Relay {
	relay := app.NewRelay(app.RelayDeps{Outbox: db.outbox, Sender: sender, Changed: func(err error) {
		s.relayFailing.Store(err != nil)
		if err != nil {
			log.Warn("stored events can't be sent at the moment; they wait in the database", "error", err.Error())
			return
		}
		log.Info("stored events are sent again")
	}})
	db.conversations = relay.Watch(db.conversations)
	janitor := app.NewJanitor(time.Now, append(kept, app.KeptAnswers(db.answers))...)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if !s.beside {
		running.Go(func() { relay.Run(ctx) })
	}
	running.Go(func() { janitor.Run(ctx) })
	s.onClose(func() { cancel(); running.Wait() })
	return relay
}
