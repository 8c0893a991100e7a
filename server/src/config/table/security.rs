//! TLS, SASL and delegation tokens.

use crate::config::def::Kind::{Boolean, Class, Double, Int, List, Long, Password, Short, String};
use crate::config::def::reason::{NO_JAVA, NO_SECURITY};
use crate::config::def::{Definition, def, unset};

pub(super) static SECURITY: &[Definition] = &[
    def("connections.max.reauth.ms", Long, "0")
        .inert(NO_SECURITY)
        .doc("How long a login lasts before the client must log in again."),
    def("sasl.server.max.receive.size", Int, "524288")
        .inert(NO_SECURITY)
        .doc("Longest message that is read before a client has logged in."),
    unset("security.providers", String)
        .inert(NO_JAVA)
        .doc("Java security providers."),
    def(
        "principal.builder.class",
        Class,
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
    )
    .per_broker()
    .inert(NO_JAVA)
    .doc("The plug-in that names the user of a connection."),
    def("ssl.client.auth", String, "none")
        .one_of(&["required", "requested", "none"])
        .per_broker()
        .inert(NO_SECURITY)
        .doc("Whether clients must show a certificate."),
    def("ssl.principal.mapping.rules", String, "DEFAULT")
        .inert(NO_SECURITY)
        .doc("Rules that turn a certificate's name into a user name."),
    def("ssl.allow.dn.changes", Boolean, "false")
        .inert(NO_SECURITY)
        .doc("Whether a new key store may hold another name."),
    def("ssl.allow.san.changes", Boolean, "false")
        .inert(NO_SECURITY)
        .doc("Whether a new key store may hold other alternative names."),
    def("ssl.protocol", String, "TLSv1.3")
        .per_broker()
        .inert(NO_SECURITY)
        .doc("The TLS version that is preferred."),
    unset("ssl.provider", String)
        .per_broker()
        .inert(NO_JAVA)
        .doc("The Java provider of TLS."),
    def("ssl.enabled.protocols", List, "TLSv1.2,TLSv1.3")
        .distinct()
        .per_broker()
        .inert(NO_SECURITY)
        .doc("TLS versions that are accepted."),
    def("ssl.keystore.type", String, "JKS")
        .per_listener()
        .inert(NO_SECURITY)
        .doc("Format of the key store."),
    unset("ssl.keystore.location", String)
        .per_listener()
        .inert(NO_SECURITY)
        .doc("Where the server's key and certificate are kept."),
    unset("ssl.keystore.password", Password)
        .per_listener()
        .inert(NO_SECURITY)
        .doc("Password of the key store."),
    unset("ssl.key.password", Password)
        .per_listener()
        .inert(NO_SECURITY)
        .doc("Password of the private key."),
    unset("ssl.keystore.key", Password)
        .per_listener()
        .inert(NO_SECURITY)
        .doc("The private key itself, as PEM."),
    unset("ssl.keystore.certificate.chain", Password)
        .per_listener()
        .inert(NO_SECURITY)
        .doc("The server's certificates themselves, as PEM."),
    def("ssl.truststore.type", String, "JKS")
        .per_listener()
        .inert(NO_SECURITY)
        .doc("Format of the trust store."),
    unset("ssl.truststore.location", String)
        .per_listener()
        .inert(NO_SECURITY)
        .doc("Where the trusted certificates are kept."),
    unset("ssl.truststore.password", Password)
        .per_listener()
        .inert(NO_SECURITY)
        .doc("Password of the trust store."),
    unset("ssl.truststore.certificates", Password)
        .per_listener()
        .inert(NO_SECURITY)
        .doc("The trusted certificates themselves, as PEM."),
    def("ssl.keymanager.algorithm", String, "SunX509")
        .per_broker()
        .inert(NO_JAVA)
        .doc("The Java algorithm of the key manager."),
    def("ssl.trustmanager.algorithm", String, "PKIX")
        .per_broker()
        .inert(NO_JAVA)
        .doc("The Java algorithm of the trust manager."),
    def("ssl.endpoint.identification.algorithm", String, "https")
        .per_broker()
        .inert(NO_SECURITY)
        .doc("How the broker checks the host name of another broker's certificate."),
    unset("ssl.secure.random.implementation", String)
        .per_broker()
        .inert(NO_JAVA)
        .doc("The Java source of random numbers for TLS."),
    def("ssl.cipher.suites", List, "")
        .distinct()
        .per_broker()
        .inert(NO_SECURITY)
        .doc("Cipher suites that are accepted; empty accepts all."),
    unset("ssl.engine.factory.class", Class)
        .per_broker()
        .inert(NO_JAVA)
        .doc("The plug-in that makes TLS engines."),
    def("sasl.mechanism.inter.broker.protocol", String, "GSSAPI")
        .per_broker()
        .inert(NO_SECURITY)
        .doc("The SASL mechanism between brokers."),
    def("sasl.enabled.mechanisms", List, "GSSAPI")
        .distinct()
        .per_broker()
        .inert(NO_SECURITY)
        .doc("SASL mechanisms that clients may use."),
    unset("sasl.server.callback.handler.class", Class)
        .inert(NO_JAVA)
        .doc("The plug-in that checks credentials."),
    def("sasl.kerberos.principal.to.local.rules", List, "DEFAULT")
        .distinct()
        .per_broker()
        .inert(NO_SECURITY)
        .doc("Rules that turn a Kerberos principal into a user name."),
    unset("sasl.jaas.config", Password)
        .per_broker()
        .inert(NO_SECURITY)
        .doc("Login settings of a SASL listener."),
    unset("sasl.client.callback.handler.class", Class)
        .inert(NO_JAVA)
        .doc("The plug-in that supplies the broker's own credentials."),
    unset("sasl.login.class", Class)
        .inert(NO_JAVA)
        .doc("The plug-in that logs the broker in."),
    unset("sasl.login.callback.handler.class", Class)
        .inert(NO_JAVA)
        .doc("The plug-in that supplies credentials for the broker's own login."),
    unset("sasl.kerberos.service.name", String)
        .per_broker()
        .inert(NO_SECURITY)
        .doc("The Kerberos principal name that the broker runs as."),
    def("sasl.kerberos.kinit.cmd", String, "/usr/bin/kinit")
        .per_broker()
        .inert(NO_SECURITY)
        .doc("Path of the kinit command."),
    def("sasl.kerberos.ticket.renew.window.factor", Double, "0.8")
        .per_broker()
        .inert(NO_SECURITY)
        .doc("Share of a ticket's life after which it is renewed."),
    def("sasl.kerberos.ticket.renew.jitter", Double, "0.05")
        .per_broker()
        .inert(NO_SECURITY)
        .doc("How much the time of a ticket's renewal varies."),
    def("sasl.kerberos.min.time.before.relogin", Long, "60000")
        .per_broker()
        .inert(NO_SECURITY)
        .doc("Shortest time between two Kerberos logins."),
    def("sasl.login.refresh.window.factor", Double, "0.8")
        .per_broker()
        .inert(NO_SECURITY)
        .doc("Share of a token's life after which it is renewed."),
    def("sasl.login.refresh.window.jitter", Double, "0.05")
        .per_broker()
        .inert(NO_SECURITY)
        .doc("How much the time of a token's renewal varies."),
    def("sasl.login.refresh.min.period.seconds", Short, "60")
        .per_broker()
        .inert(NO_SECURITY)
        .doc("Shortest time between two renewals of a token."),
    def("sasl.login.refresh.buffer.seconds", Short, "300")
        .per_broker()
        .inert(NO_SECURITY)
        .doc("How long before its end a token is renewed."),
    unset("sasl.login.connect.timeout.ms", Int)
        .inert(NO_SECURITY)
        .doc("How long a connection to the identity provider may take."),
    unset("sasl.login.read.timeout.ms", Int)
        .inert(NO_SECURITY)
        .doc("How long an answer of the identity provider may take."),
    def("sasl.login.retry.backoff.max.ms", Long, "10000")
        .inert(NO_SECURITY)
        .doc("Longest pause between two logins at the identity provider."),
    def("sasl.login.retry.backoff.ms", Long, "100")
        .inert(NO_SECURITY)
        .doc("First pause between two logins at the identity provider."),
    def(
        "sasl.oauthbearer.jwt.retriever.class",
        Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever",
    )
    .inert(NO_JAVA)
    .doc("The plug-in that fetches tokens."),
    def(
        "sasl.oauthbearer.jwt.validator.class",
        Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator",
    )
    .inert(NO_JAVA)
    .doc("The plug-in that checks tokens."),
    unset("sasl.oauthbearer.scope", String)
        .inert(NO_SECURITY)
        .doc("Scope asked for in the broker's own token."),
    unset("sasl.oauthbearer.client.credentials.client.id", String)
        .inert(NO_SECURITY)
        .doc("The broker's own client id at the identity provider."),
    unset(
        "sasl.oauthbearer.client.credentials.client.secret",
        Password,
    )
    .inert(NO_SECURITY)
    .doc("The broker's own secret at the identity provider."),
    def("sasl.oauthbearer.assertion.algorithm", String, "RS256")
        .any_case_of(&["ES256", "RS256"])
        .inert(NO_SECURITY)
        .doc("Algorithm that signs the broker's own assertion."),
    unset("sasl.oauthbearer.assertion.claim.aud", String)
        .inert(NO_SECURITY)
        .doc("Audience of the broker's own assertion."),
    def("sasl.oauthbearer.assertion.claim.exp.seconds", Int, "300")
        .between(0, 86_400)
        .inert(NO_SECURITY)
        .doc("Life of the broker's own assertion."),
    unset("sasl.oauthbearer.assertion.claim.iss", String)
        .inert(NO_SECURITY)
        .doc("Issuer of the broker's own assertion."),
    def(
        "sasl.oauthbearer.assertion.claim.jti.include",
        Boolean,
        "false",
    )
    .inert(NO_SECURITY)
    .doc("Whether the broker's own assertion carries an id."),
    def("sasl.oauthbearer.assertion.claim.nbf.seconds", Int, "60")
        .between(0, 3_600)
        .inert(NO_SECURITY)
        .doc("How far back the validity of the broker's own assertion begins."),
    unset("sasl.oauthbearer.assertion.claim.sub", String)
        .inert(NO_SECURITY)
        .doc("Subject of the broker's own assertion."),
    unset("sasl.oauthbearer.assertion.file", String)
        .inert(NO_SECURITY)
        .doc("A file that holds a ready assertion."),
    unset("sasl.oauthbearer.assertion.private.key.file", String)
        .inert(NO_SECURITY)
        .doc("The key that signs the broker's own assertion."),
    unset(
        "sasl.oauthbearer.assertion.private.key.passphrase",
        Password,
    )
    .inert(NO_SECURITY)
    .doc("Password of the key that signs the broker's own assertion."),
    unset("sasl.oauthbearer.assertion.template.file", String)
        .inert(NO_SECURITY)
        .doc("A file with the fixed parts of the broker's own assertion."),
    def("sasl.oauthbearer.scope.claim.name", String, "scope")
        .inert(NO_SECURITY)
        .doc("Claim of a token that holds its scope."),
    def("sasl.oauthbearer.sub.claim.name", String, "sub")
        .inert(NO_SECURITY)
        .doc("Claim of a token that holds its subject."),
    unset("sasl.oauthbearer.token.endpoint.url", String)
        .inert(NO_SECURITY)
        .doc("Where the broker fetches its own token."),
    unset("sasl.oauthbearer.jwks.endpoint.url", String)
        .inert(NO_SECURITY)
        .doc("Where the identity provider's keys are found."),
    def("sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, "3600000")
        .inert(NO_SECURITY)
        .doc("How often the identity provider's keys are fetched again."),
    def(
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
        Long,
        "100",
    )
    .inert(NO_SECURITY)
    .doc("First pause after a failed fetch of the identity provider's keys."),
    def(
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
        Long,
        "10000",
    )
    .inert(NO_SECURITY)
    .doc("Longest pause after a failed fetch of the identity provider's keys."),
    def("sasl.oauthbearer.clock.skew.seconds", Int, "30")
        .inert(NO_SECURITY)
        .doc("How far the identity provider's clock may be off."),
    def("sasl.oauthbearer.expected.audience", List, "")
        .distinct()
        .inert(NO_SECURITY)
        .doc("Audiences of which a token must name one."),
    unset("sasl.oauthbearer.expected.issuer", String)
        .inert(NO_SECURITY)
        .doc("Issuer that a token must name."),
    unset("delegation.token.secret.key", Password)
        .inert(NO_SECURITY)
        .doc("The secret that signs delegation tokens."),
    def("delegation.token.max.lifetime.ms", Long, "604800000")
        .at_least(1)
        .inert(NO_SECURITY)
        .doc("How long a delegation token may be renewed."),
    def("delegation.token.expiry.time.ms", Long, "86400000")
        .at_least(1)
        .inert(NO_SECURITY)
        .doc("How long a delegation token is valid without being renewed."),
    def("delegation.token.expiry.check.interval.ms", Long, "3600000")
        .at_least(1)
        .inert(NO_SECURITY)
        .doc("How often delegation tokens are looked at for expiry."),
];
