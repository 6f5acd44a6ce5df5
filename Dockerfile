# One static binary and the certificates of public authorities; no shell, no
# package manager, not root. Configuration, keys and the audit directory are
# mounted; only the directories of `state` and `audit` need to be writable.
#
#   docker build -t gatehouse .      or, without an engine, an OCI archive: make image
#   docker run --read-only -v ./etc:/etc/gatehouse:ro -v audit:/var/lib/gatehouse -p 8443:8443 gatehouse
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/gatehouse . && mkdir -m 0700 /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/gatehouse /gatehouse
COPY --from=build --chown=65532:65532 /out/data /var/lib/gatehouse
USER 65532:65532
ENTRYPOINT ["/gatehouse"]
CMD ["serve", "-c", "/etc/gatehouse/gatehouse.yaml"]
