package config

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

// Secrets are the texts that may be in no dump, log or bundle: what the files and
// variables hold that the configuration names, and passwords that stand in it.
func (c *Config) Secrets() (all []string) {
	each(reflect.ValueOf(c).Elem(), "", field{}, func(v reflect.Value, key string, f field) {
		text := v.String()
		switch kind := f.tag.Get("path"); {
		case text == "":
		case kind == "secret" || kind == "key" || kind == "private" || f.name == "credentials_file":
			if b, err := readBounded(text, maxFile); err == nil {
				all = append(all, secretLines(string(b))...)
			}
		case strings.HasSuffix(f.name, "_env"):
			all = append(all, secretLines(os.Getenv(text))...)
		}
		if u, err := url.Parse(text); err == nil && u.User != nil {
			if password, ok := u.User.Password(); ok {
				all = append(all, password, url.QueryEscape(password))
			}
		}
		for _, ref := range variable.FindAllString(c.written[key], -1) {
			if value := os.Getenv(strings.Trim(ref, "${}")); f.name != "replica" && !whereabouts.MatchString(value) {
				all = append(all, value)
			}
		}
	})
	for _, k := range []KeySource{c.Sealing, c.Audit.Key(), c.Audit.Signing(), c.Pseudonyms.Key(), c.State.Key()} {
		if keys, err := k.Read(); k.Named() && err == nil {
			for _, key := range keys.Epochs {
				all = append(all, base64.StdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key), hex.EncodeToString(key))
			}
		}
	}
	return all
}

// whereabouts are addresses and names of hosts without credentials: logs tell them.
var whereabouts = regexp.MustCompile(`(?i)^(?:[a-z][a-z0-9+.-]*://)?(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+|localhost)(?::[0-9]+)?(?:/[A-Za-z0-9._-]{0,15})*$`)

// secretLines are the words of a file of secrets: whoever quotes it may quote a part.
func secretLines(text string) []string {
	return append(strings.Fields(text), strings.TrimSpace(text))
}

// each visits every text of a section and of those inside it, maps too.
func each(v reflect.Value, key string, f field, visit func(v reflect.Value, key string, f field)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			each(v.Elem(), key, f, visit)
		}
	case reflect.String:
		visit(v, key, f)
	case reflect.Slice:
		for i := range v.Len() {
			each(v.Index(i), index(key, i), f, visit)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			each(v.MapIndex(k), join(key, k.String()), f, visit)
		}
	case reflect.Struct:
		for inner := range eachField(v.Type()) {
			each(v.Field(inner.index), join(key, inner.name), inner, visit)
		}
	}
}

var address = regexp.MustCompile(`(?i)^[a-z][a-z0-9+.-]*://`)

// Redacted is Dump for those outside the house: without the queries of URLs, the
// paths of webhooks and the arguments of commands, any of which may be a secret.
func (c *Config) Redacted() (string, error) {
	var doc yaml.MapSlice
	if err := yaml.Unmarshal([]byte(c.Dump()), &doc); err != nil {
		return "", err
	}
	text, err := yaml.Marshal(redact(doc, "", false))
	return string(text), err
}

func redact(v any, name string, hook bool) any {
	switch v := v.(type) {
	case yaml.MapSlice:
		for i, item := range v {
			key, _ := item.Key.(string)
			v[i].Value = redact(item.Value, key, hook || name == "" && key == "notify")
		}
	case map[string]any:
		for key, value := range v {
			v[key] = redact(value, key, hook)
		}
	case []any:
		if strings.HasSuffix(name, "_command") && len(v) > 1 {
			return []any{v[0], "…"}
		}
		for i := range v {
			v[i] = redact(v[i], name, hook)
		}
	case string:
		return redactURL(v, hook)
	}
	return v
}

func redactURL(text string, hook bool) string {
	if !address.MatchString(text) {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "…"
	}
	if u.User != nil {
		u.User = url.User("…")
	}
	if hook {
		u.Path, u.RawPath = "/…", "/…"
	}
	u.RawQuery, u.Fragment = "", ""
	return strings.ReplaceAll(u.String(), url.PathEscape("…"), "…")
}
