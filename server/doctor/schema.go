package doctor

import (
	"context"
	_ "embed"
	"strings"

	"github.com/tillbook/tillbook/store"
)

//go:embed catalogue.txt
var catalogue string

// selectCatalogue lists indexes, constraints and triggers, one a line, with whether
// they are in force.
const selectCatalogue = `
SELECT ('index ' || c.relname) COLLATE "C", pg_get_indexdef(i.indexrelid), i.indisvalid AND i.indisready
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'constraint ' || r.relname || ' ' || c.conname, pg_get_constraintdef(c.oid), c.convalidated
  FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
 WHERE c.connamespace = 'public'::regnamespace
UNION ALL
SELECT 'trigger ' || r.relname || ' ' || t.tgname, pg_get_triggerdef(t.oid), t.tgenabled IN ('O', 'A')
  FROM pg_trigger t JOIN pg_class r ON r.oid = t.tgrelid
 WHERE r.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal
 ORDER BY 1`

// object is a line of the catalogue.
type object struct {
	Name       string
	Definition string
	Valid      bool
}

func (o object) String() string { return o.Name + "\t" + o.Definition }

func (v *visit) schema(ctx context.Context) error {
	version, err := v.Store.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	needed, err := store.NeededVersion()
	if err != nil {
		return err
	}
	if version != needed {
		v.add(Warn, "Use the tillbook of the newest replica, whose doctor knows this schema.",
			"The schema is at version %d; this program knows version %d.", version, needed)
		return nil
	}
	v.ok("The schema is at version %d.", version)
	have, err := list[object](ctx, v, selectCatalogue)
	if err != nil {
		return err
	}
	v.compare(have)
	return nil
}

// compare says what is missing of the catalogue, or isn't in force.
func (v *visit) compare(have []object) {
	found := make(map[string]object)
	for _, o := range have {
		found[o.Name] = o
	}
	wrong := 0
	for line := range strings.Lines(catalogue) {
		name, definition, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		o, ok := found[name]
		switch {
		case !ok:
			_, there := found["index "+name[strings.LastIndexByte(name, ' ')+1:]]
			v.add(Fail, again(name, definition, there), "The %s is missing.", name)
		case !o.Valid:
			v.add(Fail, "Make it valid: REINDEX INDEX CONCURRENTLY for an index, VALIDATE CONSTRAINT or ENABLE TRIGGER for the others.",
				"The %s isn't in force.", name)
		case o.Definition != definition:
			v.add(Warn, "The migrations make it so: "+definition, "The %s is another: %s", name, o.Definition)
		default:
			continue
		}
		wrong++
	}
	if wrong == 0 {
		v.ok("All %d indexes, constraints and triggers are there.", strings.Count(catalogue, "\n"))
	}
}

// again advises how to make what is missing of the catalogue. There is an index of its
// name, or isn't.
func again(name, definition string, there bool) string {
	kind, of, _ := strings.Cut(name, " ")
	switch table, constraint, _ := strings.Cut(of, " "); kind {
	case "index":
		if strings.Contains(catalogue, " "+of+"\tUNIQUE (") || strings.Contains(catalogue, " "+of+"\tPRIMARY KEY (") {
			return "It comes with the constraint of its name."
		}
		return "Make it again: " + concurrently(definition)
	case "constraint":
		add := "ALTER TABLE " + table + " ADD CONSTRAINT " + constraint + " "
		unique, _, _ := strings.Cut(definition, " (")
		if unique != "UNIQUE" && unique != "PRIMARY KEY" {
			return "Make it again: " + add + definition + ";"
		}
		// On its own the constraint would make its index while nobody can write. It can
		// take one that was made before.
		add += unique + " USING INDEX " + constraint + ";"
		if there {
			return "Make it again: " + add
		}
		_, index, _ := strings.Cut(catalogue, "\nindex "+constraint+"\t")
		index, _, _ = strings.Cut(index, "\n")
		return "Make it again: " + concurrently(index) + " " + add
	default:
		return "Make it again, as the migrations do: " + definition
	}
}

// concurrently is how an index is made while others write.
func concurrently(definition string) string {
	return strings.Replace(definition, " INDEX ", " INDEX CONCURRENTLY ", 1) + ";"
}

// onlyAdded are the tables whose rows the serving role may add, but neither change nor
// delete.
var onlyAdded = []string{
	"transactions", "more_entries", "audit_records", "events", "assets", "log_batches", "log_keys",
	"hold_operations", "refunds", "resolutions", "settlements", "metered", "stores",
}

func (v *visit) rights(ctx context.Context) error {
	type right struct{ Table, Right string }
	extra, err := list[right](ctx, v, `
		SELECT t.name, p.name
		  FROM unnest($2::text[]) AS t (name), unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS p (name)
		 WHERE CASE p.name WHEN 'UPDATE' THEN has_any_column_privilege($1, t.name, p.name) ELSE has_table_privilege($1, t.name, p.name) END`,
		store.AppRole, onlyAdded)
	if err != nil {
		return err
	}
	for _, e := range extra {
		v.add(Fail, "Find out who gave it, then: REVOKE "+e.Right+" ON "+e.Table+" FROM "+store.AppRole+", PUBLIC;",
			"The serving role may %s rows of %s, which nobody may.", e.Right, e.Table)
	}
	type role struct {
		Name  string
		Super bool
		Owns  int
	}
	roles, err := list[role](ctx, v, `
		SELECT r.rolname, r.rolsuper OR r.rolbypassrls OR r.rolreplication OR r.rolcreaterole,
		       (SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid AND c.relnamespace = 'public'::regnamespace)::int
		  FROM pg_roles r WHERE pg_has_role($1, r.oid, 'USAGE')`, store.AppRole)
	if err != nil {
		return err
	}
	for _, r := range roles {
		if r.Super || r.Owns > 0 {
			v.add(Fail, "Revoke that, or the membership in "+r.Name+": the serving role could change the books.",
				"The serving role has the rights of %s, which has more than serving takes.", r.Name)
		}
	}
	if len(extra) == 0 {
		v.ok("The serving role can't change what is booked.")
	}
	return nil
}
