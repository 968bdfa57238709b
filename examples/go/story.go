// Ada is hired, and the spine knows; a consumer copies what happened. Needs pgx, and a database where the role may emit, consume
// the subscription "copier", and write to the tables employee and copied. PGHOST, PGDATABASE … say where.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"

	"github.com/jackc/pgconn"
	_ "github.com/jackc/pgx/v4/stdlib"
)

const organization, actor = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-0000000000a1"

// inTransaction commits what work does, or nothing of it.
func inTransaction(ctx context.Context, db *sql.DB, work func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing behind Commit
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// hire stores the row and its event together, or neither.
func hire(ctx context.Context, db *sql.DB, name, eventType string) error {
	return inTransaction(ctx, db, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "SELECT spine.set_context($1, $2)", organization, actor); err != nil {
			return err
		}
		var employee string
		if err := tx.QueryRowContext(ctx, "INSERT INTO employee (name) VALUES ($1) RETURNING id", name).Scan(&employee); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "SELECT spine.emit_event($1, entity_id => $2, payload => jsonb_build_object('name', $3::text))",
			eventType, employee, name)
		return err
	})
}

// copyBatch takes a batch, copies it and acknowledges it in one transaction, so each event is copied exactly once. It returns how
// many there were; 0: there is nothing to do.
func copyBatch(ctx context.Context, db *sql.DB) (copied int64, err error) {
	err = inTransaction(ctx, db, func(tx *sql.Tx) error {
		var batch sql.NullInt64
		if err := tx.QueryRowContext(ctx, `WITH taken AS MATERIALIZED (SELECT batch, (event).* FROM spine.next_batch('copier')),
			copied AS (INSERT INTO copied (id, organization_id, sequence) SELECT id, organization_id, sequence FROM taken)
			SELECT max(batch), count(*) FROM taken`).Scan(&batch, &copied); err != nil || !batch.Valid {
			return err
		}
		_, err := tx.ExecContext(ctx, "SELECT spine.acknowledge('copier', $1)", batch.Int64)
		return err
	})
	return copied, err
}

func main() {
	ctx := context.Background()
	db, err := sql.Open("pgx", "")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := hire(ctx, db, "Ada", "hcm.employee.created"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("Ada is hired")
	var refused *pgconn.PgError
	if err := hire(ctx, db, "Bob", "Employee created"); errors.As(err, &refused) {
		fmt.Printf("%s: %s\nHINT: %s\n", refused.Code, refused.Message, refused.Hint)
	}
	for {
		copied, err := copyBatch(ctx, db)
		if err != nil {
			log.Fatal(err)
		}
		if copied == 0 {
			break
		}
		fmt.Println("copied:", copied)
	}
}
