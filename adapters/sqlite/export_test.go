package sqlite

import "context"

// ExecWriter runs a statement on the connection that writes, to bring about faults.
func (s *Store) ExecWriter(ctx context.Context, statement string) error {
	return s.group.alone(ctx, func() error {
		_, err := s.group.conn.ExecContext(ctx, statement)
		return err
	})
}

// ExplainRead returns the plan of a query.
func (s *Store) ExplainRead(ctx context.Context, query string) (string, error) {
	rows, err := s.reader.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var plan string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return "", err
		}
		plan += detail + "\n"
	}
	return plan, rows.Err()
}

// Alone does something while nobody writes.
func (s *Store) Alone(ctx context.Context, do func() error) error { return s.group.alone(ctx, do) }

// Waiting is how many want to write together and wait.
func (s *Store) Waiting() int { return s.group.waits() }

// Commits is how many transactions have been committed together.
func (s *Store) Commits() int64 { return s.group.commits.Load() }

// WriterPragma returns a setting of the connection that writes.
func (s *Store) WriterPragma(ctx context.Context, name string) (value string, err error) {
	err = s.group.alone(ctx, func() error {
		return s.group.conn.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
	})
	return value, err
}
