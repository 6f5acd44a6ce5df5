package config

import (
	"cmp"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// OnFailure says what becomes of a request that the audit log cannot take:
// refuse (503), or spool (its records wait in audit.spool). One word is for all.
type OnFailure struct {
	// Of read, vread and metadata, and of what never became an interaction.
	Read string `yaml:"read" default:"refuse" oneof:"refuse spool"`
	// Of searches and histories of many; left out: as for read.
	Search string `yaml:"search" oneof:"refuse spool"`
	// Of operations, all of which only read; left out: as for search.
	Operation string `yaml:"operation" oneof:"refuse spool"`
	// Of create, update, patch, delete, batch, transaction, and of the admin API.
	Write string `yaml:"write" default:"refuse" oneof:"refuse spool"`
}

// Spools says whether any class of interaction spools.
func (f OnFailure) Spools() bool {
	return slices.Contains([]string{f.Read, f.Search, f.Operation, f.Write}, spools)
}

const spools = "spool"

// Spool is where records wait while the audit log cannot be written, encrypted as
// there. They reach the log in their order, each once, when it is back.
type Spool struct {
	// Another directory than audit.dir, best on another disk; made when missing. Left
	// out: beside audit.dir, its name with -spool.
	Dir string `yaml:"dir" path:"made"`
	// Bytes of records that it takes at most; then what would spool is refused.
	Max Size `yaml:"max" default:"256MiB"`
}

// decodeOnFailure takes one word for all classes, or a word for each.
func (l *loader) decodeOnFailure(n ast.Node, v *OnFailure, key string) {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		l.decodeStruct(n, reflect.ValueOf(v).Elem(), key)
		return
	}
	text, ok := l.scalar(n, key, "refuse or spool, or a word for each: {read: spool, write: refuse}")
	if ok && text != "refuse" && text != spools {
		l.report(key, "%q is not known; write refuse or spool, or a word for each: {read: spool, write: refuse}", l.show(key, text))
	}
	*v = OnFailure{Read: text, Write: text}
}

func (l *loader) checkSpool(a *Audit) {
	if t := a.FlushTimeout; t < Duration(100*time.Millisecond) || t > Duration(5*time.Minute) {
		l.report("audit.flush_timeout", "is %s; write one from 100ms to 5m", t)
	}
	f := &a.OnFailure
	f.Search = cmp.Or(f.Search, f.Read)
	f.Operation = cmp.Or(f.Operation, f.Search)
	if f.Spools() && a.Spool == nil {
		a.Spool = &Spool{}
		l.defaults(reflect.ValueOf(a.Spool).Elem())
	}
	if a.Spool == nil || l.failed("audit.spool") {
		return
	}
	if a.Spool.Dir == "" {
		a.Spool.Dir = a.Dir + "-spool"
	}
	if within(a.Spool.Dir, a.Dir) || within(a.Dir, a.Spool.Dir) {
		l.report("audit.spool.dir", "is audit.dir, or one is inside the other; name another directory, best on another disk")
	}
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
