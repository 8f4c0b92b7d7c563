"""HTTPS around the service, with the faults that a network has."""
import select
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .service import BODY_LIMIT


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def log_message(self, *args):
        pass

    def do_POST(self):
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            return self._answer(411, {}, b"")
        if length > BODY_LIMIT:
            self.close_connection = True
            body = b" " * (BODY_LIMIT + 1)
        else:
            body = self.rfile.read(length)
        fault = self.server.take_fault(self.path)
        if isinstance(fault, tuple):
            return self._answer(*fault)
        answer = self.server.service.handle(self.command, self.path,
                                            self.headers.get("Authorization"), body, self._alive)
        if self.server.away or self.server.take_fault(self.path, answer[2]):
            return self._cut()
        self._answer(*answer)

    do_GET = do_PUT = do_DELETE = do_POST

    def _answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _alive(self) -> bool:
        """Nothing is to be read while an answer is awaited, but the end."""
        try:
            return not self.server.away and not select.select([self.connection], [], [], 0)[0]
        except (ValueError, OSError):
            return False

    def _cut(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def handle(self):
        try:
            super().handle()
        except (OSError, ssl.SSLError):
            pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, service, context: ssl.SSLContext, port: int = 0):
        super().__init__(("127.0.0.1", port), Handler)
        self.service, self.context = service, context
        self.away, self.faults, self.lock = False, [], threading.Lock()
        self.connections = set()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return self.server_address[1]

    def start(self):
        self.thread.start()
        return self

    def get_request(self):
        sock, address = super().get_request()
        tls = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self.connections.add(tls)
        return tls, address

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        pass

    def answer_with(self, path_part: str, answer: tuple, count: int = 1):
        """(status, headers, body) instead of the service's answer, for the next requests to a path."""
        with self.lock:
            self.faults.append([path_part, None, answer, count])

    def lose(self, path_part: str, count: int = 1, needle: bytes = b""):
        """The next requests to a path are carried out, but their answers (with `needle`) are lost."""
        with self.lock:
            self.faults.append([path_part, needle, "lost", count])

    def take_fault(self, path: str, answer: bytes = None):
        """Before a request: an answer instead. After it: whether its answer is lost."""
        with self.lock:
            for rule in self.faults:
                part, needle, fault, count = rule
                fits = needle is None if answer is None else needle is not None and needle in answer
                if part in path and fits and count > 0:
                    rule[3] -= 1
                    return fault
        return None

    def stop(self):
        """Gone at once: what is in flight is cut."""
        self.away = self.service.closing = True
        with self.service.store.changed:
            self.service.store.changed.notify_all()
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
