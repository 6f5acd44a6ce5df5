package main

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strconv"
)

// fromXML turns FHIR XML into JSON, as far as the definitions above need it:
// elements that repeat there, and no others, become arrays.
func fromXML(r io.Reader) ([]byte, error) {
	d := xml.NewDecoder(r)
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		if root, ok := tok.(xml.StartElement); ok {
			v, err := object(d, root)
			if err != nil {
				return nil, err
			}
			v["resourceType"] = root.Name.Local
			return json.Marshal(v)
		}
	}
}

var repeats = map[string]bool{
	"entry": true, "element": true, "base": true, "target": true, "component": true, "resource": true,
	"param": true, "extension": true, "type": true, "targetProfile": true,
}

// object reads the members of an element up to its end.
func object(d *xml.Decoder, start xml.StartElement) (map[string]any, error) {
	v := map[string]any{}
	for _, a := range start.Attr {
		if a.Name.Local == "url" {
			v["url"] = a.Value
		}
	}
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			return v, nil
		case xml.StartElement:
			if err := member(d, tok, start.Name.Local, v); err != nil {
				return nil, err
			}
		}
	}
}

func member(d *xml.Decoder, tok xml.StartElement, parent string, v map[string]any) error {
	name := tok.Name.Local
	if name == "div" || name == "contained" {
		return d.Skip()
	}
	if name == "resource" && parent == "entry" {
		return inner(d, v)
	}
	var value any
	for _, a := range tok.Attr {
		if a.Name.Local == "value" {
			value = scalar(name, a.Value)
		}
	}
	below, err := object(d, tok)
	if err != nil {
		return err
	}
	if value == nil && name == "code" && parent == "type" {
		return nil // STU3's primitive values and ids: the type is in extensions, and none of FHIR's
	}
	if value == nil {
		value = below
	}
	if list, _ := v[name].([]any); repeated(name, parent) {
		v[name] = append(list, value)
	} else {
		v[name] = value
	}
	return nil
}

// repeated tells the lists from members of the same name that stand once.
func repeated(name, parent string) bool {
	switch name {
	case "base", "target":
		return parent == "SearchParameter"
	case "type":
		return parent == "element"
	case "resource":
		return parent == "CompartmentDefinition"
	}
	return repeats[name]
}

// inner reads the resource in an entry.
func inner(d *xml.Decoder, v map[string]any) error {
	for {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			r, err := object(d, tok)
			if err != nil {
				return err
			}
			r["resourceType"] = tok.Name.Local
			v["resource"] = r
		}
	}
}

func scalar(name, s string) any {
	switch name {
	case "abstract", "experimental", "isSummary":
		return s == "true"
	case "min":
		n, _ := strconv.Atoi(s)
		return n
	}
	return s
}
