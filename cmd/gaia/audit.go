package main

import (
	"context"
	"log/slog"
	"time"

	"gaia/app"
)

// keptAudit is for how long the audit log is kept.
func keptAudit(c config, db database) app.Kept {
	return app.Kept{For: time.Duration(c.AuditDays) * 24 * time.Hour, Expire: db.audit.Expire}
}

// startAudit records what happens about identity. It stops before the relay, which sends the events of what is stored at the end.
func (s *system) startAudit(db database, relay *app.Relay, log *slog.Logger) *app.Audit {
	audit := app.NewAudit(app.AuditDeps{
		Log: db.audit, Now: time.Now, NewID: newID, Stored: relay.Wake,
		Changed: func(err error) {
			if err != nil {
				log.Warn("the audit log can't be written at the moment; what happens waits in memory", "error", err.Error())
				return
			}
			log.Info("the audit log is written again")
		},
		Lost: func(count int) {
			log.Error("entries of the audit log are lost: it could not be written for too long", "count", count)
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		audit.Run(ctx)
	}()
	s.onClose(func() { cancel(); <-done })
	return audit
}
