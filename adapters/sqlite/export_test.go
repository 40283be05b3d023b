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
