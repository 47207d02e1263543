import EventStore

enum StoreErrorSample {
    static let owned: any Error = StoreError.owned("x")
    static let full: any Error = StoreError.full
    static let damaged: any Error = StoreError.damaged("x")
}
