package sink

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"gatehouse/config"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signedBucket puts checkpoints into object storage that speaks S3, each request
// signed (AWS Signature Version 4): where the key may put and not delete, and the
// bucket has a retention lock, no checkpoint is taken back.
func signedBucket(client Doer, c *config.Publish) (keeper, error) {
	secret, err := config.ReadSecret(c.SecretKeyFile)
	if err != nil {
		return nil, fmt.Errorf("secret_key_file: %w", err)
	}
	key := aws.Credentials{AccessKeyID: c.AccessKey, SecretAccessKey: secret}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }) // S3 escapes once
	sign := func(ctx context.Context, r *http.Request, body []byte) error {
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:])
		r.Header.Set("X-Amz-Content-Sha256", hash)
		r.Header.Set("User-Agent", "Gatehouse")
		return signer.SignHTTP(ctx, key, r, hash, "s3", c.Region, time.Now())
	}
	return &bucket{client: client, c: c, sign: sign}, nil
}
