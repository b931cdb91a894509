/* Moves the clock by OFFSET seconds and sorts folders by name, downwards if BACKWARDS, for a program that preloads it.
 *
 * It stands alone: no header, and of the C library only what every one of glibc's and musl's exports. So any clang makes
 * it. `struct dirent` is that of 64-bit Linux. What reads the clock by a system call of its own isn't reached.
 */

typedef unsigned long size_t;
struct timespec { long sec, nsec; };
struct timeval { long sec, usec; };
struct dirent { unsigned long ino; long off; unsigned short reclen; unsigned char type; char name[]; };

extern void *dlsym(void *handle, const char *name), *malloc(size_t size);
extern void free(void *memory), *memcpy(void *to, const void *from, size_t size);
extern void qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *));
extern int strcmp(const char *a, const char *b), *__errno_location(void);
#define NEXT ((void *)-1L) /* RTLD_NEXT */

static long raw_clock(long clock, struct timespec *now)
{
#if defined(__x86_64__)
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(228L), "D"(clock), "S"(now) : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long number __asm__("x8") = 113, result __asm__("x0") = clock;
	register struct timespec *into __asm__("x1") = now;

	__asm__ volatile("svc 0" : "+r"(result) : "r"(number), "r"(into) : "memory");
	return result;
#else
#error "no system call is known here"
#endif
}

int clock_gettime(int clock, struct timespec *now)
{
	long result = raw_clock(clock, now);

	if (result < 0) {
		*__errno_location() = -result;
		return -1;
	}
	if (clock == 0 || clock == 5 || clock == 11) /* CLOCK_REALTIME, _REALTIME_COARSE, CLOCK_TAI */
		now->sec += OFFSET;
	return 0;
}

long time(long *into)
{
	struct timespec now;

	clock_gettime(0, &now);
	if (into)
		*into = now.sec;
	return now.sec;
}

int gettimeofday(struct timeval *into, void *zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(0, &now);
	into->sec = now.sec;
	into->usec = now.nsec / 1000;
	return 0;
}

int timespec_get(struct timespec *into, int base)
{
	return base == 1 && clock_gettime(0, into) == 0 ? base : 0;
}

/* A folder that somebody reads: its entries, sorted, and the next of them. */
struct listing {
	void *folder;
	struct dirent **entries;
	size_t count, next;
	struct listing *other;
};

static struct listing *listings;
static char locked;

static void lock(void)
{
	while (__atomic_test_and_set(&locked, __ATOMIC_ACQUIRE))
		;
}

static void unlock(void)
{
	__atomic_clear(&locked, __ATOMIC_RELEASE);
}

static int by_name(const void *a, const void *b)
{
	int order = strcmp((*(struct dirent **)a)->name, (*(struct dirent **)b)->name);

	return BACKWARDS ? -order : order;
}

static struct listing *taken(void *folder)
{
	struct listing **place, *found = 0;

	lock();
	for (place = &listings; *place; place = &(*place)->other) {
		if ((*place)->folder == folder) {
			found = *place;
			*place = found->other;
			break;
		}
	}
	unlock();
	return found;
}

static void forget(void *folder)
{
	struct listing *found = taken(folder);

	if (!found)
		return;
	for (size_t at = 0; at < found->count; at++)
		free(found->entries[at]);
	free(found->entries);
	free(found);
}

static struct listing *listed(void *folder)
{
	struct dirent *(*read)(void *) = dlsym(NEXT, "readdir"), *entry, **more;
	struct listing *made = malloc(sizeof(*made));
	size_t room = 0;

	made->folder = folder;
	made->entries = 0;
	made->count = made->next = 0;
	while ((entry = read(folder))) {
		if (made->count == room) {
			room = room ? room * 2 : 64;
			more = malloc(room * sizeof(*more));
			memcpy(more, made->entries, made->count * sizeof(*more));
			free(made->entries);
			made->entries = more;
		}
		made->entries[made->count] = malloc(entry->reclen);
		memcpy(made->entries[made->count++], entry, entry->reclen);
	}
	qsort(made->entries, made->count, sizeof(*made->entries), by_name);
	return made;
}

struct dirent *readdir(void *folder)
{
	struct listing *found = taken(folder);
	struct dirent *entry;

	if (!found)
		found = listed(folder);
	entry = found->next < found->count ? found->entries[found->next++] : 0;
	lock();
	found->other = listings;
	listings = found;
	unlock();
	return entry;
}

struct dirent *readdir64(void *folder)
{
	return readdir(folder);
}

int closedir(void *folder)
{
	int (*close)(void *) = dlsym(NEXT, "closedir");

	forget(folder);
	return close(folder);
}

void rewinddir(void *folder)
{
	void (*rewind)(void *) = dlsym(NEXT, "rewinddir");

	forget(folder);
	rewind(folder);
}
