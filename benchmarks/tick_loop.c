/* The clock's side of the tick-to-order measurement, and the least that a client can do. No parsing, no allocation. */
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int send_all(int fd, const unsigned char *data, long length) {
    while (length > 0) {
        ssize_t sent = send(fd, data, (size_t)length, MSG_NOSIGNAL);
        if (sent <= 0) return -1;
        data += sent;
        length -= sent;
    }
    return 0;
}

/* Length of the WebSocket frame at the front of `have` bytes, 0 where its header is not whole yet. */
static long frame_length(const unsigned char *data, long have) {
    if (have < 2) return 0;
    long header = 2 + ((data[1] & 0x80) ? 4 : 0), payload = data[1] & 0x7f;
    if (payload == 126) {
        if (have < 4) return 0;
        header += 2;
        payload = ((long)data[2] << 8) | data[3];
    } else if (payload == 127) {
        return -1;
    }
    return header + payload;
}

static long read_frame(int fd, unsigned char *buffer, long room) {
    long have = 0, want = 0;
    while (want == 0 || have < want) {
        ssize_t got = recv(fd, buffer + have, (size_t)(room - have), 0);
        if (got <= 0) return -1;
        have += got;
        want = frame_length(buffer, have);
        if (want < 0 || want > room || (want && have > want)) return -1;
    }
    return have;
}

/* Send the tick, wait for one whole frame, and note what that took; `count` times. 0 where all of it went well. */
int measure(int fd, const unsigned char *tick, long length, int count, long long *took_ns) {
    unsigned char buffer[65536];
    for (int turn = 0; turn < count; turn++) {
        long long start = now_ns();
        if (send_all(fd, tick, length) || read_frame(fd, buffer, sizeof buffer) < 0) return -1;
        took_ns[turn] = now_ns() - start;
    }
    return 0;
}

/* Answer every frame with the same one until the peer is gone. */
void answer(int fd, const unsigned char *order, long length) {
    unsigned char buffer[65536];
    while (read_frame(fd, buffer, sizeof buffer) > 0 && !send_all(fd, order, length)) {
    }
}
