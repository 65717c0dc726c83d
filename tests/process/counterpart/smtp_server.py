"""An SMTP server (aiosmtpd) that takes mail only over TLS and from who signed in.

    smtp_server.py CERT KEY MODE      MODE: starttls, implicit or open

Prints its port, then one line of JSON for each mail, as Python's email package reads it.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

cert, key, mode = sys.argv[1:4]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(cert, key)


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data == LoginPassword(b"hb", b"CANARY-pass")
    return AuthResult(success=good, handled=False)


class Handler:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            # A server that speaks TLS from the first byte is told nothing of it by older versions of the library.
            "tls": session.ssl is not None or mode == "implicit",
            "signed_in": bool(session.authenticated),
            "helo": session.host_name,
            "headers": [name for name in message.keys()],
            "subject": str(message["subject"]),
            "sender": str(message["from"]),
            "level": str(message["x-heartbeat-level"]),
            "date": message["date"].datetime.isoformat(),
            "defects": [str(defect) for defect in message.defects],
            "body": message.get_content().replace("\r\n", "\n"),
        }), flush=True)
        return "250 taken"


def protocol():
    if mode == "open":
        return SMTP(Handler(), enable_SMTPUTF8=False)
    return SMTP(
        Handler(),
        enable_SMTPUTF8=False,
        tls_context=context if mode == "starttls" else None,
        require_starttls=mode == "starttls",
        authenticator=authenticate,
        auth_required=True,
        auth_require_tls=mode == "starttls",
    )


async def main():
    tls = context if mode == "implicit" else None
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
