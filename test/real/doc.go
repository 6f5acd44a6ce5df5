// Package real runs the built gatehouse between a real FHIR server (HAPI FHIR,
// JPA) and a real identity provider (Keycloak), on a real database (PostgreSQL),
// with a SMART app in a real browser (Chromium). Its tests have the build tag
// `real`; `make real` fetches the servers and runs them.
package real
