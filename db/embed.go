// Package db carries the SQL: the migrations of each dialect, embedded, and the queries from which sqlc generates the stores.
//
// It must not open a database.
package db

import (
	"embed"
	"io/fs"
	"time"
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the migrations of a dialect: "postgres" or "sqlite".
func Migrations(dialect string) (fs.FS, error) { return fs.Sub(migrations, "migrations/"+dialect) }

// Migration is one step of a schema and whether a database has taken it.
type Migration struct {
	Version   int64
	Name      string    // file name
	AppliedAt time.Time // zero when pending
}
