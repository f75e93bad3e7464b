// A library to preload (LD_PRELOAD): look-ups of host names are never answered, as by a DNS server
// that is silent.
#include <netdb.h>
#include <unistd.h>

extern "C" int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**) {
  for (;;) ::pause();
}
