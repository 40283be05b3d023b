package postgres

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.AssetMeanings = (*AssetStore)(nil)

// SetMeaning implements ports.AssetMeanings. The table is made when somebody asks for it, by the extension vector: most databases need
// neither.
func (s *AssetStore) SetMeaning(ctx context.Context, id, model string, vector []float32) error {
	key, err := parseID(id)
	if err != nil {
		return ctx.Err()
	}
	if !pointsSomewhere(vector) {
		return domain.NewError(domain.BadRequest, "The vector means nothing")
	}
	return s.withMeanings(ctx, "set meaning", func(ctx context.Context, conn *pgx.Conn, place string) error {
		_, err := conn.Exec(ctx, `
			INSERT INTO asset_embeddings (asset_id, model, embedding)
			SELECT a.id, $2, $3::text::`+place+`.vector FROM assets AS a WHERE a.id = $1
			ON CONFLICT (asset_id, model) DO UPDATE SET embedding = excluded.embedding`, key, model, vectorText(vector))
		return err
	})
}

// WithoutMeaning implements ports.AssetMeanings.
func (s *AssetStore) WithoutMeaning(ctx context.Context, model string, limit int) ([]domain.Asset, error) {
	var ids []uuid.UUID
	err := s.withMeanings(ctx, "find assets without meaning", func(ctx context.Context, conn *pgx.Conn, _ string) error {
		rows, err := conn.Query(ctx, `
			SELECT a.id FROM assets AS a
			WHERE NOT EXISTS (SELECT FROM asset_embeddings AS m WHERE m.asset_id = a.id AND m.model = $1)
			ORDER BY a.created_at DESC, a.id DESC
			LIMIT $2`, model, max(limit, 0))
		if err == nil {
			ids, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		}
		return err
	})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	loaded, err := s.load(ctx, "load assets", domain.LinkHolder, ids)
	list := make([]domain.Asset, 0, len(loaded))
	for _, id := range ids {
		if a, there := loaded[id]; there { // it may have been deleted meanwhile
			list = append(list, a)
		}
	}
	return list, err
}

// withMeanings runs work when the table is there, and makes it when it is not.
func (s *AssetStore) withMeanings(ctx context.Context, op string, work func(ctx context.Context, conn *pgx.Conn, place string) error) error {
	return s.db.use(ctx, op, func(ctx context.Context, conn *pgx.Conn) error {
		place, err := meaningPlace(ctx, conn)
		if err == nil && place == "" {
			if err = makeMeanings(ctx, conn); err == nil {
				place, err = meaningPlace(ctx, conn)
			}
		}
		if err != nil {
			return err
		}
		return work(ctx, conn, place)
	})
}

// meaningPlace is the schema of the extension, fit to stand in a statement; empty: there are no meanings.
func meaningPlace(ctx context.Context, conn *pgx.Conn) (place string, err error) {
	err = conn.QueryRow(ctx, `
		SELECT coalesce((
			SELECT quote_ident(n.nspname) FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
			WHERE e.extname = 'vector' AND to_regclass('asset_embeddings') IS NOT NULL
		), '')`).Scan(&place)
	return place, err
}

// makeMeanings makes the table, where the extension is to be had. Processes that do so at the same time wait for each other.
func makeMeanings(ctx context.Context, conn *pgx.Conn) error {
	err := transaction(ctx, conn, func(tx pgx.Tx) error {
		for _, statement := range []string{
			"SELECT pg_advisory_xact_lock(hashtextextended('gaia asset_embeddings', 0))",
			"CREATE EXTENSION IF NOT EXISTS vector",
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		var place string
		err := tx.QueryRow(ctx, `
			SELECT quote_ident(n.nspname) FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
			WHERE e.extname = 'vector'`).Scan(&place)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			CREATE TABLE IF NOT EXISTS asset_embeddings (
				asset_id uuid NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
				model text NOT NULL,
				embedding `+place+`.vector NOT NULL,
				PRIMARY KEY (asset_id, model)
			)`)
		return err
	})
	var refused *pgconn.PgError
	const noFile = "58P01" // of the extension
	if errors.As(err, &refused) && (refused.Code == noFile || !isOutage(refused.Code)) {
		return &domain.Error{Kind: domain.Unimplemented, Message: "The database keeps no meanings: it has no extension vector", Cause: err}
	}
	return err
}

// pointsSomewhere reports whether a vector can be compared with others.
func pointsSomewhere(vector []float32) bool {
	length := 0.0
	for _, v := range vector {
		length += float64(v) * float64(v)
	}
	return length > 0 && !math.IsNaN(length) && !math.IsInf(length, 0)
}

// vectorText is a vector as the extension reads it.
func vectorText(vector []float32) string {
	b := []byte{'['}
	for i, v := range vector {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(v), 'g', -1, 32)
	}
	return string(append(b, ']'))
}

// nearness finds assets that mean something like a query. nil finds none. It compares with the vector of every asset that a query
// allows: exact, and fast enough for some ten thousand.
type nearness struct{ place string }

// nearness returns nil where there are no meanings, or none was asked for.
func (s *AssetStore) nearness(ctx context.Context, conn *pgx.Conn, q domain.AssetQuery) (*nearness, error) {
	if !pointsSomewhere(q.Embedding) || strings.TrimSpace(q.Text) == "" {
		return nil, nil
	}
	place, err := meaningPlace(ctx, conn)
	if err != nil || place == "" {
		return nil, err
	}
	return &nearness{place}, nil
}

// with adds to the table "found" what is near, if anything, and returns the name of the table that has both.
func (n *nearness) with(s *statement, q domain.AssetQuery) string {
	if n == nil {
		return "found"
	}
	s.addf(", ")
	n.add(s, q)
	s.addf(", merged AS MATERIALIZED (SELECT id, created_at, max(relevance) AS relevance FROM (" +
		"SELECT id, created_at, relevance FROM found UNION ALL SELECT id, created_at, relevance FROM near) AS both_ways GROUP BY id, created_at) ")
	return "merged"
}

// add adds the table "near". Vectors of another length are of another time of the model.
func (n *nearness) add(s *statement, q domain.AssetQuery) {
	vector := s.arg(vectorText(q.Embedding)) + "::text::" + n.place + ".vector"
	s.addf("alike AS MATERIALIZED (SELECT id, created_at, CASE WHEN %s.vector_dims(m.embedding) = %d "+
		"THEN 1 - (m.embedding OPERATOR(%s.<=>) %s) END AS relevance FROM assets JOIN asset_embeddings AS m ON m.asset_id = id",
		n.place, len(q.Embedding), n.place, vector)
	s.where(q)
	s.addf(" AND m.model = %s), near AS MATERIALIZED (SELECT id, created_at, least(relevance, 1) AS relevance FROM alike WHERE relevance >= %s)",
		s.arg(q.Model), s.arg(q.Similarity))
}

// find returns a page of what is near alone: of a text without any word.
func (n *nearness) find(ctx context.Context, conn *pgx.Conn, q domain.AssetQuery) (foundAssets, error) {
	if n == nil {
		return foundAssets{}, nil
	}
	s := &statement{}
	s.addf("WITH ")
	n.add(s, q)
	s.addf(" ")
	s.best(q, "near")
	return pageOfAssets(ctx, conn, s)
}
