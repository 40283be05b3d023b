package sqlite

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"

	"github.com/pressly/goose/v3"

	"gaia/db"
)

// MigrateUp makes the file if need be and applies every pending migration. Processes that do this at the same time fall over each other at
// any of them: who loses looks again, as long as somebody gets on.
func MigrateUp(ctx context.Context, file string) error {
	return migrate(file, func(p *goose.Provider) error {
		for {
			before, err := p.GetDBVersion(ctx)
			if err == nil {
				_, err = p.Up(ctx)
			}
			if err == nil {
				return nil
			}
			after, versionErr := p.GetDBVersion(ctx)
			if versionErr != nil || after == before {
				return err
			}
		}
	})
}

// MigrateDown takes the last migration back; on a schema without any it does nothing.
func MigrateDown(ctx context.Context, file string) error {
	return migrate(file, func(p *goose.Provider) error {
		_, err := p.Down(ctx)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return nil
		}
		return err
	})
}

// MigrationStatus lists the known migrations in their order.
func MigrationStatus(ctx context.Context, file string) ([]db.Migration, error) {
	var list []db.Migration
	err := migrate(file, func(p *goose.Provider) error {
		status, err := p.Status(ctx)
		for _, s := range status {
			list = append(list, db.Migration{Version: s.Source.Version, Name: path.Base(s.Source.Path), AppliedAt: s.AppliedAt.UTC()})
		}
		return err
	})
	return list, err
}

func migrate(file string, do func(*goose.Provider) error) error {
	c := Config{Path: file}.withDefaults()
	if err := touch(c.Path); err != nil {
		return fmt.Errorf("sqlite migrate: %w", err)
	}
	conn, err := openPool(c, 1, url.Values{"_txlock": {"immediate"}})
	if err != nil {
		return err
	}
	defer conn.Close()
	files, err := db.Migrations("sqlite")
	if err != nil {
		return fmt.Errorf("sqlite migrate: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, conn, files)
	if err != nil {
		return fmt.Errorf("sqlite migrate: %w", err)
	}
	if err := do(p); err != nil {
		return fmt.Errorf("sqlite migrate: %w", err)
	}
	return nil
}
