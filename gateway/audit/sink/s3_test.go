package sink

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/config"

	"go.uber.org/zap"
)

const bucketSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// s3Server is a bucket that takes what is signed as the reference of AWS Signature
// Version 4 says, computed here anew.
type s3Server struct{ objects map[string]string }

func (s *s3Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Method != http.MethodPut || r.Header.Get("Authorization") != wantSigned(r, body) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	s.objects[r.URL.Path] = string(body)
}

func wantSigned(r *http.Request, body []byte) string {
	day := r.Header.Get("X-Amz-Date")
	day = day[:min(8, len(day))]
	scope := day + "/eu-central-1/s3/aws4_request"
	_, names, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	names, _, _ = strings.Cut(names, ",")
	for _, must := range []string{"host", "x-amz-content-sha256", "x-amz-date"} {
		if !slices.Contains(strings.Split(names, ";"), must) {
			return "unsigned " + must
		}
	}
	var headers strings.Builder
	for _, name := range strings.Split(names, ";") {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(len(body))
		}
		headers.WriteString(name + ":" + value + "\n")
	}
	sum := func(b []byte) string { h := sha256.Sum256(b); return hex.EncodeToString(h[:]) }
	canonical := strings.Join([]string{"PUT", r.URL.EscapedPath(), r.URL.RawQuery, headers.String(), names, sum(body)}, "\n")
	key := []byte("AWS4" + bucketSecret)
	for _, part := range []string{day, "eu-central-1", "s3", "aws4_request", "AWS4-HMAC-SHA256\n" + r.Header.Get("X-Amz-Date") + "\n" + scope + "\n" + sum([]byte(canonical))} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	return "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/" + scope + ", SignedHeaders=" + names + ", Signature=" + hex.EncodeToString(key)
}

// U-07: checkpoints go to a bucket that believes signed requests alone.
func TestCheckpointsInABucket(t *testing.T) {
	s := &s3Server{objects: map[string]string{}}
	server := httptest.NewServer(s)
	defer server.Close()
	for secret, ok := range map[string]bool{bucketSecret: true, "another": false} {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c := &config.Publish{Type: "s3", URL: server.URL + "/audit/check%20points/{size}", Region: "eu-central-1", AccessKey: "AKIAEXAMPLE", SecretKeyFile: file}
		to, err := newAnchor(c, t.TempDir(), Options{Log: zap.NewNop(), HTTP: func(config.Upstream, *zap.Logger) (Doer, error) { return server.Client(), nil }})
		if err != nil {
			t.Fatal(err)
		}
		err = to.put(context.Background(), []byte("origin\n12\nroot\n\nsigned\n"), 12)
		if (err == nil) != ok {
			t.Errorf("signed with %.4s…: %v", secret, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	if len(s.objects) != 1 || !strings.Contains(s.objects["/audit/check points/0000000000000012"], "signed") {
		t.Errorf("the bucket holds %v", s.objects)
	}
}
