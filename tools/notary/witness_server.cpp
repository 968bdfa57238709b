// The HTTP around a witness: one thread, so one request at a time, and what is kept changes with one request alone.
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <memory>

#include "core/signed_note.h"
#include "notary/failure.h"
#include "notary/witness.h"

namespace spine {

namespace {

constexpr size_t max_body = Note::max_size + 8 * 1024;  // a note and a proof
constexpr int patience_seconds = 10;

struct Free {
  void operator()(event_base *base) const { event_base_free(base); }
  void operator()(evhttp *http) const { evhttp_free(http); }
  void operator()(event *signal) const { event_free(signal); }
};

void answer(evhttp_request *request, const Answer &given) {
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", given.content_type.c_str());
  evbuffer_add(evhttp_request_get_output_buffer(request), given.body.data(), given.body.size());
  evhttp_send_reply(request, given.status, nullptr, nullptr);
}

Answer respond(Witness &witness, evhttp_request *request) {
  std::string_view path = evhttp_request_get_uri(request);
  bool post = evhttp_request_get_command(request) == EVHTTP_REQ_POST;
  constexpr std::string_view checkpoint = "/checkpoint";
  if (path == "/add-checkpoint") {
    if (!post) return {405, "text/plain; charset=utf-8", "POST is what this path takes\n"};
    evbuffer *in = evhttp_request_get_input_buffer(request);
    std::string body(evbuffer_get_length(in), '\0');
    evbuffer_copyout(in, body.data(), body.size());
    return witness.add_checkpoint(body, static_cast<uint64_t>(std::time(nullptr)));
  }
  if (!post && path.size() == 1 + 64 + checkpoint.size() && path.substr(65) == checkpoint)
    return witness.checkpoint(path.substr(1, 64));
  return {404, "text/plain; charset=utf-8", "there is nothing here\n"};
}

void on_request(evhttp_request *request, void *witness) noexcept {
  try {
    answer(request, respond(*static_cast<Witness *>(witness), request));
  } catch (const std::exception &error) {
    // The state could not be written, or the key not be reached: nothing was cosigned.
    answer(request, {500, "text/plain; charset=utf-8", std::string(error.what()) + '\n'});
  }
}

void stop(evutil_socket_t, short, void *base) { event_base_loopbreak(static_cast<event_base *>(base)); }

[[noreturn]] void throw_listening(const std::string &listen) {
  throw Failure(Exit::usage, "listening at " + listen + ": " + std::strerror(errno),
                "--listen takes HOST:PORT, or the path of a unix socket");
}

std::string listen_at_path(event_base *base, evhttp *http, const std::string &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw_listening(path);
  std::memcpy(address.sun_path, path.data(), path.size());
  unlink(path.c_str());  // what an earlier run left; the state's lock says that it has ended
  evconnlistener *listener =
      evconnlistener_new_bind(base, nullptr, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1,
                              reinterpret_cast<sockaddr *>(&address), sizeof address);
  if (listener == nullptr || evhttp_bind_listener(http, listener) == nullptr) throw_listening(path);
  return path;
}

std::string listen_at_port(evhttp *http, const std::string &listen) {
  size_t colon = listen.rfind(':');
  if (colon == std::string::npos) throw_listening(listen);
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  char *end;
  unsigned long port = std::strtoul(listen.c_str() + colon + 1, &end, 10);
  if (*end != '\0' || end == listen.c_str() + colon + 1 || port > 65535) throw_listening(listen);
  evhttp_bound_socket *bound =
      evhttp_bind_socket_with_handle(http, host.c_str(), static_cast<ev_uint16_t>(port));
  if (bound == nullptr) throw_listening(listen);
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(evhttp_bound_socket_get_fd(bound), reinterpret_cast<sockaddr *>(&address), &size);
  uint16_t chosen = ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6 *>(&address)->sin6_port
                                                        : reinterpret_cast<sockaddr_in *>(&address)->sin_port);
  return listen.substr(0, colon + 1) + std::to_string(chosen);
}

}  // namespace

void serve_witness(Witness &witness, const std::string &listen,
                   const std::function<void(const std::string &address)> &started) {
  std::unique_ptr<event_base, Free> base(event_base_new());
  std::unique_ptr<evhttp, Free> http(base ? evhttp_new(base.get()) : nullptr);
  if (http == nullptr) throw Failure(Exit::unavailable, "no memory for the server");
  evhttp_set_max_body_size(http.get(), static_cast<ev_ssize_t>(max_body));
  evhttp_set_max_headers_size(http.get(), 16 * 1024);
  evhttp_set_timeout(http.get(), patience_seconds);
  evhttp_set_allowed_methods(http.get(), EVHTTP_REQ_GET | EVHTTP_REQ_POST);
  evhttp_set_gencb(http.get(), on_request, &witness);
  std::string address =
      listen.front() == '/' ? listen_at_path(base.get(), http.get(), listen) : listen_at_port(http.get(), listen);
  std::unique_ptr<event, Free> terminate(evsignal_new(base.get(), SIGTERM, stop, base.get()));
  std::unique_ptr<event, Free> interrupt(evsignal_new(base.get(), SIGINT, stop, base.get()));
  evsignal_add(terminate.get(), nullptr);
  evsignal_add(interrupt.get(), nullptr);
  started(address);
  event_base_dispatch(base.get());
  if (listen.front() == '/') unlink(listen.c_str());
}

}  // namespace spine
