package app

import (
	"context"
	"errors"
	"io"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// InspectionConfig tunes an Inspection. Zero values mean the defaults named here.
type InspectionConfig struct {
	AtOnce int           // files that are looked into at the same time; 2
	Wait   time.Duration // for a place; 30 s
	Time   time.Duration // that looking into a file may take; 2 min
}

// Inspection is a MediaInspector that looks into few files at the same time: each needs memory, whoever brings it. A process has one.
type Inspection struct {
	inspector ports.MediaInspector
	config    InspectionConfig
	places    chan struct{}
}

var _ ports.MediaInspector = (*Inspection)(nil)

// NewInspection bounds what an inspector does.
func NewInspection(inspector ports.MediaInspector, c InspectionConfig) *Inspection {
	if c.AtOnce <= 0 {
		c.AtOnce = 2
	}
	if c.Wait <= 0 {
		c.Wait = 30 * time.Second
	}
	if c.Time <= 0 {
		c.Time = 2 * time.Minute
	}
	return &Inspection{inspector: inspector, config: c, places: make(chan struct{}, c.AtOnce)}
}

// Inspect implements ports.MediaInspector.
func (i *Inspection) Inspect(ctx context.Context, r io.ReadSeeker) (domain.FileFacts, error) {
	if err := i.enter(ctx); err != nil {
		return domain.FileFacts{}, err
	}
	defer i.leave()
	ctx, cancel := context.WithTimeout(ctx, i.config.Time)
	defer cancel()
	return i.inspector.Inspect(ctx, r)
}

// Preview implements ports.MediaInspector.
func (i *Inspection) Preview(ctx context.Context, r io.ReadSeeker, width, height int) ([]byte, error) {
	if err := i.enter(ctx); err != nil {
		return nil, err
	}
	defer i.leave()
	ctx, cancel := context.WithTimeout(ctx, i.config.Time)
	defer cancel()
	return i.inspector.Preview(ctx, r, width, height)
}

// enter waits for a place, but not for ever: who waits holds a connection and a file.
func (i *Inspection) enter(ctx context.Context) error {
	wait := time.NewTimer(i.config.Wait)
	defer wait.Stop()
	select {
	case i.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return domain.MissingPart("Too many files are being looked into: try again later", errors.New("no place to look into a file"))
	}
}

func (i *Inspection) leave() { <-i.places }
