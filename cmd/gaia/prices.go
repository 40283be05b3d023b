package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"gaia/app"
	"gaia/domain"
)

// startPrices reads the prices, and reads them again in the background when somebody asks for that. It stops before the database.
func (s *system) startPrices(c config, db database, log *slog.Logger) (*app.Prices, error) {
	deps := app.PricesDeps{Marks: db.marks, Log: log}
	if c.PricesFile != "" {
		deps.Read = func() (*domain.PriceTable, error) { return loadPrices(c.PricesFile) }
	}
	prices, err := app.NewPrices(deps)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { prices.Run(ctx) })
	s.onClose(func() { cancel(); running.Wait() })
	return prices, nil
}

func loadPrices(path string) (*domain.PriceTable, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- the operator has named it
	if err != nil {
		return nil, fmt.Errorf("PRICES_FILE: %w", err)
	}
	table, err := domain.ParsePrices(data)
	if err != nil {
		return nil, fmt.Errorf("PRICES_FILE %s: %w", path, err)
	}
	return table, nil
}
