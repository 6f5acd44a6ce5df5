package compat

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// readJSON reads a rule file, not a body: the names of cases have escapes,
// which fhir/wire refuses. Duplicate names are refused at every level.
func readJSON(name string, data []byte) (*value, error) {
	data = bytes.TrimPrefix(data, []byte(bom))
	r := &jsonReader{file: name, data: data, in: jsontext.NewDecoder(bytes.NewReader(data))}
	v, err := r.value()
	if err == nil {
		if _, err = r.in.ReadToken(); err == nil {
			err = errors.New("something follows the document")
		}
	}
	if err != io.EOF {
		return nil, r.fail(err)
	}
	return v, nil
}

type jsonReader struct {
	file string
	data []byte
	in   *jsontext.Decoder
}

func (r *jsonReader) fail(err error) error {
	at := int(r.in.InputOffset())
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		at, err = int(syntax.ByteOffset), syntax.Err
	}
	v := &value{}
	v.place(r.data, at)
	return v.errorf(r.file, "%w", err)
}

func (v *value) place(data []byte, offset int) {
	before := data[:min(offset, len(data))]
	v.line, v.column = bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n')
}

// value reads the next one; jsontext bounds how deep they nest.
func (r *jsonReader) value() (*value, error) {
	t, err := r.in.ReadToken()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	v := &value{text: t.String()}
	v.place(r.data, int(r.in.InputOffset())-1)
	switch t.Kind() {
	case '{', '[':
		v.kind, v.text = array, ""
		if t.Kind() == '{' {
			v.kind = object
		}
		return v, r.parts(v)
	case 'n':
		v.text = ""
	case '"':
		v.kind, v.quoted = scalar, true
	default:
		v.kind = scalar
	}
	return v, nil
}

func (r *jsonReader) parts(v *value) error {
	for r.in.PeekKind() != '}' && r.in.PeekKind() != ']' {
		name := ""
		if v.kind == object {
			t, err := r.in.ReadToken()
			if err != nil {
				return err
			}
			name = t.String()
		}
		part, err := r.value()
		if err != nil {
			return err
		}
		v.names, v.parts = append(v.names, name), append(v.parts, part)
	}
	if _, err := r.in.ReadToken(); err != nil {
		return fmt.Errorf("read to the end: %w", err)
	}
	return nil
}
