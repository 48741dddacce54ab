/* Calls the allocator's functions as compiled code does: memray sees no calls through ctypes. */
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

void *form_malloc(size_t size) { return malloc(size); }
void *form_calloc(size_t count, size_t size) { return calloc(count, size); }
void *form_realloc(void *pointer, size_t size) { return realloc(pointer, size); }
void *form_aligned_alloc(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }
void *form_memalign(size_t alignment, size_t size) { return memalign(alignment, size); }
void *form_valloc(size_t size) { return valloc(size); }
void form_free(void *pointer) { free(pointer); }
void *form_mmap(size_t size) {
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
int form_munmap(void *pointer, size_t size) { return munmap(pointer, size); }
