package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"gaia/adapters/postgres"
	"gaia/adapters/sqlite"
	"gaia/db"
)

// migrator changes the schema of one database.
type migrator struct {
	up, down func(context.Context, string) error
	status   func(context.Context, string) ([]db.Migration, error)
	target   string
}

// migrate changes the schema of the database in force, or shows where it stands.
func migrate(ctx context.Context, c config, command string, out io.Writer) error {
	m := migrator{postgres.MigrateUp, postgres.MigrateDown, postgres.MigrationStatus, c.DatabaseURL}
	if c.DatabaseURL == "" {
		dir, err := c.dataDir()
		if err != nil {
			return err
		}
		m = migrator{sqlite.MigrateUp, sqlite.MigrateDown, sqlite.MigrationStatus, filepath.Join(dir, databaseFile)}
	}
	switch command {
	case "up":
		if err := m.up(ctx, m.target); err != nil {
			return err
		}
	case "down":
		if err := m.down(ctx, m.target); err != nil {
			return err
		}
	case "status":
	default:
		return fmt.Errorf("unknown command migrate %q: %w", command, errUsage)
	}
	return m.print(ctx, out)
}

func (m migrator) print(ctx context.Context, out io.Writer) error {
	list, err := m.status(ctx, m.target)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tAPPLIED\tNAME")
	for _, migration := range list {
		applied := "pending"
		if !migration.AppliedAt.IsZero() {
			applied = migration.AppliedAt.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\n", migration.Version, applied, migration.Name)
	}
	return w.Flush()
}
